"""A Secret Manager on free ports, over REST and gRPC, and what stands around it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import grpc
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_google import EMAIL, NAME, PROJECT, REQUESTS, Google, Refusal, bare
from google.protobuf import json_format
from google.rpc import status_pb2
from grpc_status import rpc_status

from safetwilio.backends.gcp_sm import GoogleBackend
from safetwilio.backends.locate import open_backend, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from safetwilio.backends.interface import Absent, Found, Record
    from support import Key

_SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
_VERBS = {
    ("GET", "access"): "AccessSecretVersion",
    ("POST", "addVersion"): "AddSecretVersion",
    ("POST", ""): "CreateSecret",
    ("GET", ""): "GetSecret",
    ("PATCH", ""): "UpdateSecret",
    ("POST", "disable"): "DisableSecretVersion",
    ("POST", "testIamPermissions"): "TestIamPermissions",
}


class RestServer:
    """*google* over REST; ``with RestServer(google) as url``; with *tls* it asks for a login."""

    def __init__(self, google: Google, tls: trustme.LeafCert | None = None) -> None:  # noqa: D107
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                status, body = _rest(google, self, self.rfile.read(length), tls=tls is not None)
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = _serve  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="gcp-rest")
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> str:
        self._thread.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that left: tests see to that."""


def _rest(google: Google, asked: Any, body: bytes, *, tls: bool) -> tuple[int, bytes]:
    path, _, verb = urlsplit(asked.path).path.removeprefix("/v1/").partition(":")
    method = _VERBS[asked.command, verb]
    if method == "GetSecret" and path.endswith("/versions"):
        method = "ListSecretVersions"
    request = REQUESTS[method]()
    try:
        if method == "CreateSecret":
            request.parent = path.removesuffix("/secrets")
            request.secret_id = parse_qs(urlsplit(asked.path).query)["secretId"][0]
            json_format.Parse(body, request.secret)
        elif method == "UpdateSecret":
            json_format.Parse(body, request.secret)
            mask = parse_qs(urlsplit(asked.path).query)["updateMask"][0]
            request.update_mask.FromJsonString(mask)
            request.secret.name = path
        else:
            if body:
                json_format.Parse(body, request)
            if method == "ListSecretVersions":
                path = path.removesuffix("/versions")
                query = parse_qs(urlsplit(asked.path).query)
                request.page_size = int(query["pageSize"][0])
            of_parent = {"AddSecretVersion": "parent", "ListSecretVersions": "parent"}
            field = {**of_parent, "TestIamPermissions": "resource"}.get(method, "name")
            setattr(request, field, path)
        answer = google.answer(method, request, asked.headers.get("Authorization") or "", tls=tls)
    except Refusal as refusal:
        status = _HTTP[refusal.word]
        details = [json_format.MessageToDict(each) for each in refusal.details()]
        error = {"code": status, "message": refusal.message, "status": refusal.word}
        return status, json.dumps({"error": {**error, "details": details}}).encode()
    return HTTPStatus.OK, json_format.MessageToJson(bare(answer)).encode()


class GrpcServer:
    """*google* over gRPC; ``with GrpcServer(google) as url``; with *tls* it asks for a login."""

    def __init__(self, google: Google, tls: trustme.LeafCert | None = None) -> None:  # noqa: D107
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            method: grpc.unary_unary_rpc_method_handler(
                _spoken(google, method, tls=tls is not None),
                request_deserializer=kind.FromString,
                response_serializer=lambda answer: bare(answer).SerializeToString(),
            )
            for method, kind in REQUESTS.items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, handlers),)
        )
        if tls is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            chain = b"".join(each.bytes() for each in tls.cert_chain_pems)
            port = self._server.add_secure_port(
                "127.0.0.1:0",
                grpc.ssl_server_credentials([(tls.private_key_pem.bytes(), chain)]),
            )
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"

    def __enter__(self) -> str:
        self._server.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


def _spoken(google: Google, method: str, *, tls: bool) -> Callable[[Any, Any], Any]:
    def speak(request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata())
        try:
            return google.answer(method, request, metadata.get("authorization", ""), tls=tls)
        except Refusal as refusal:
            code = getattr(grpc.StatusCode, refusal.word).value[0]
            status = status_pb2.Status(
                code=code, message=refusal.message, details=refusal.details()
            )
        return context.abort_with_status(rpc_status.to_status(status))

    return speak


class Servers(NamedTuple):
    """One Google, spoken to in every way: addresses by transport."""

    google: Google
    plain: dict[str, str]
    tls: dict[str, str]
    authority: Path
    login: Path

    def reference(self, transport: str = "rest", options: str = "", *, tls: bool = False) -> str:
        """Return the reference of the secret, as one server has it."""
        url = (self.tls if tls else self.plain)[transport]
        return f"gcp-sm://{PROJECT}/{NAME}?transport={transport}&endpoint={url}{options}"


@functools.cache
def _authority() -> trustme.CA:
    """Return the one authority of this process: gRPC keeps those that it read first."""
    return trustme.CA()


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Yield all servers, started, and the files that a client trusts and logs in with."""
    authority = _authority()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    google = Google()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    google.public_key = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    login = write_login(folder / "login.json", key)
    with contextlib.ExitStack() as stack:
        plain = {
            "rest": stack.enter_context(RestServer(google)),
            "grpc": stack.enter_context(GrpcServer(google)),
        }
        tls = {
            "rest": stack.enter_context(RestServer(google, certificate)),
            "grpc": stack.enter_context(GrpcServer(google, certificate)),
        }
        yield Servers(google, plain, tls, folder / "authority.pem", login)


def write_login(path: Path, key: rsa.RSAPrivateKey | None = None) -> Path:
    """Write the file of a service account, whose *key* is a new one if none is given."""
    key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": EMAIL,
                "client_id": "1",
                "token_uri": f"{refused_port()}/token",
            }
        )
    )
    return path


class MetadataServer:
    """A machine's metadata server that lets *email* in with *token*; both may be withheld."""

    def __init__(self, token: str, *, status: int = 200) -> None:  # noqa: D107
        answers = {
            "/computeMetadata/v1/project/project-id": PROJECT,
            "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
            "/computeMetadata/v1/instance/service-accounts/default/": json.dumps(
                {"email": EMAIL, "scopes": [], "aliases": ["default"]}
            ),
            "/computeMetadata/v1/instance/service-accounts/default/token": json.dumps(
                {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
            ),
        }
        answers |= {k.replace("/default/", f"/{EMAIL}/"): v for k, v in answers.items()}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = answers.get(urlsplit(self.path).path, "")
                is_token = self.path.partition("?")[0].endswith("/token")
                self.send_response(status if is_token else 200)
                self.send_header("Metadata-Flavor", "Google")
                json_ = text.startswith("{")
                self.send_header("Content-Type", "application/json" if json_ else "text/plain")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metadata")
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def answering(answer: bytes, *, drip: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Yield a server that gives *answer* to anything, and the requests that it got.

    With *drip* it then keeps the connection, and sends one byte now and again.
    """
    requests: list[bytes] = []
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    requests.append(connection.recv(65536))
                    connection.sendall(answer)
                    while drip and not ended.wait(0.1):
                        connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{address[1]}", requests
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def clean_environment(folder: Path) -> dict[str, str]:
    """Return variables that lead no lookup of a login off this machine, nor to a real one."""
    nowhere = refused_port().removeprefix("http://")
    return {
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "APPDATA": str(folder),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "GCE_METADATA_HOST": nowhere,
        "GCE_METADATA_IP": nowhere,
    }


def clean(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take away all of this machine's that a login could be made with."""
    bundles = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
    for name in [*os.environ]:
        upper = name.upper()
        theirs = upper.startswith(("GOOGLE_", "GCE_", "GCLOUD_", "CLOUDSDK_", "GRPC_"))
        if theirs or upper in bundles or upper.endswith("_PROXY"):
            monkeypatch.delenv(name)
    for name, value in clean_environment(folder).items():
        monkeypatch.setenv(name, value)


def backend(text: str) -> GoogleBackend:
    """Return the backend of the reference *text*."""
    (reference,) = parse(text, place="the test")
    opened = open_backend(reference)
    assert isinstance(opened, GoogleBackend)
    return opened


def load(text: str, account: str | None = None) -> Record:
    """Return the record that *text* leads to."""
    answer: Found | Absent = backend(text).load(account)
    record = getattr(answer, "record", None)
    assert record is not None, answer
    return record  # type: ignore[no-any-return]


def revealed(record: Record) -> tuple[str, ...]:
    """Return account SID, key SID and secret of *record*."""
    return tuple(record.fields[name].reveal() for name in ("account_sid", "key_sid", "secret"))


def said(error: BaseException) -> str:
    """Return what *error* says, without the line breaks of its report."""
    return " ".join(str(error).split())


def as_document(key: Key) -> dict[str, str]:
    return {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Yield the address of a socket that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def refused_port() -> str:
    """Return the address of a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
