"""Logging in to a Vault with what a machine is on AWS or at Google."""

from __future__ import annotations

import base64
import json
import os
import time
from importlib import import_module
from typing import TYPE_CHECKING

from safetwilio.backends.deadline import run
from safetwilio.backends.vault_grant import granted, require_role, seal_token
from safetwilio.extras import need

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from safetwilio.backends.vault_grant import Granted, Way
    from safetwilio.backends.vault_http import Connection

GOOGLE_KEY = "GOOGLE_APPLICATION_CREDENTIALS"
_STS_BODY = "Action=GetCallerIdentity&Version=2011-06-15"
_SERVER_ID_HEADER = "X-Vault-AWS-IAM-Server-ID"
_JWT_SECONDS = 600  # Vault's roles take 15 minutes unless told otherwise


def with_aws(connection: Connection, way: Way) -> Granted:
    """Log in as an AWS principal: Vault sends the request to STS that we signed (ST331)."""
    require_role(way)
    for module in ("session", "auth", "awsrequest"):  # imported here, so outside the deadline
        need(f"botocore.{module}", extra="aws", purpose="vault: with auth=aws")
    outcome = run(connection.deadline, lambda: _signed(way))
    if outcome.answer is None:
        raise connection.failures.unauthenticated(
            why="auth=aws: the AWS library found no credentials in this environment",
            fix="Give the process an AWS role or keys; aws sts get-caller-identity shows whose.",
        )
    return granted(
        connection,
        way,
        outcome.answer,
        identity=f'Vault\'s AWS role "{way.role}", signed with the AWS credentials found here',
        fix="Check bound_iam_principal_arn of the role, the region (region= in the reference if "
        "Vault uses a regional STS), and server_id= if it wants one.",
    )


def _signed(way: Way) -> dict[str, object] | None:
    """Return AWS's "who am I", signed but not sent: Vault sends it and learns who we are.

    Not hvac's own: that one signs for us-east-1 only, and takes no role of a machine.
    """
    credentials = import_module("botocore.session").get_session().get_credentials()
    if credentials is None:
        return None
    region = way.option("region")
    china = ".cn" if region.startswith("cn-") else ""
    url = f"https://sts.{region}.amazonaws.com{china}/" if region else "https://sts.amazonaws.com/"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if way.option("server_id"):
        headers[_SERVER_ID_HEADER] = way.option("server_id")
    request = import_module("botocore.awsrequest").AWSRequest(
        method="POST", url=url, data=_STS_BODY, headers=headers
    )
    sign = import_module("botocore.auth").SigV4Auth
    frozen = credentials.get_frozen_credentials()
    sign(frozen, "sts", region or "us-east-1").add_auth(request)
    return {
        "iam_http_request_method": "POST",
        "iam_request_url": _base64(url),
        "iam_request_headers": _base64(json.dumps({k: [v] for k, v in request.headers.items()})),
        "iam_request_body": _base64(_STS_BODY),
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def with_google_machine(connection: Connection, way: Way) -> Granted:
    """Log in with the identity token of a machine at Google (ST331)."""
    require_role(way)
    engine = need("google.auth.compute_engine", extra="gcp", purpose="vault: with auth=gcp-gce")
    transport = need("google.auth.transport.requests", extra="gcp", purpose="vault:").Request()

    def identity_token() -> SecretStr:
        credentials = engine.IDTokenCredentials(
            transport, f"https://vault/{way.role}", use_metadata_identity_endpoint=True
        )
        credentials.refresh(transport)
        return seal_token(credentials.token)

    return _with_google(connection, way, identity_token, "Google's metadata server gave no token")


def with_google_key(connection: Connection, way: Way) -> Granted:
    """Log in with a JWT signed by the key of a service account (ST331)."""
    require_role(way)
    accounts = need(
        "google.oauth2.service_account", extra="gcp", purpose="vault: with auth=gcp-iam"
    )
    jwt = need("google.auth.jwt", extra="gcp", purpose="vault: with auth=gcp-iam")
    path = way.file or os.environ.get(GOOGLE_KEY, "").strip()

    def own_token() -> SecretStr:
        account = accounts.Credentials.from_service_account_file(path)
        now = int(time.time())
        claims = {
            "sub": account.service_account_email,
            "aud": f"vault/{way.role}",
            "iat": now,
            "exp": now + _JWT_SECONDS,
        }
        return seal_token(jwt.encode(account.signer, claims).decode())

    where = f"the file {way.file}" if way.file else f"env {GOOGLE_KEY}"
    return _with_google(connection, way, own_token, f"{where} names no key of a service account")


def _with_google(
    connection: Connection, way: Way, make: Callable[[], SecretStr], failed: str
) -> Granted:
    outcome = run(connection.deadline, make)
    if outcome.answer is None:
        raise connection.failures.unauthenticated(
            why=f"auth={way.method}: {failed}",
            fix="auth=gcp-gce is for a machine of Google's with a service account, auth=gcp-iam "
            f"for a service account's key in the file that {GOOGLE_KEY} names.",
        )
    return granted(
        connection,
        way,
        {"jwt": outcome.answer.get_secret_value()},
        identity=f'Vault\'s Google role "{way.role}" ({way.method})',
        fix="Check type and bound_service_accounts of the role: "
        f"vault read auth/{way.path}/role/{way.role}",
    )
