"""Google's client for a server on this machine, where nobody logs in, over REST or gRPC."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os

from google.cloud import secretmanager


def over_rest() -> secretmanager.SecretManagerServiceClient:
    """Return a client that speaks REST."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.secretmanager_v1.services.secret_manager_service import transports

    return secretmanager.SecretManagerServiceClient(
        transport=transports.SecretManagerServiceRestTransport(
            host=os.environ["APP_REST"],
            url_scheme="http",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        )
    )


def over_grpc() -> secretmanager.SecretManagerServiceClient:
    """Return a client that speaks gRPC, which is what Google's library does by itself."""
    import grpc  # type: ignore[import-untyped]
    from google.cloud.secretmanager_v1.services.secret_manager_service import transports

    return secretmanager.SecretManagerServiceClient(
        transport=transports.SecretManagerServiceGrpcTransport(
            channel=grpc.insecure_channel(os.environ["APP_GRPC"])
        )
    )
