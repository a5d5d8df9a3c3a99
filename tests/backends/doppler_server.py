"""Doppler's API on a free port: configs, tokens and what a token may do, in memory.

Its CLI, run against it in test_doppler_cli.py, takes it for Doppler. Messages are Doppler's own.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from safetwilio.backends.doppler import DopplerBackend
from safetwilio.backends.locate import open_backend, parse

if TYPE_CHECKING:
    import os
    import ssl
    from collections.abc import Callable, Mapping

    import pytest

    from safetwilio.backends.interface import Absent, Found, Record

PROJECT, CONFIG = "shop", "prd"
SECRETS = "/v3/configs/config/secrets"
DOWNLOAD = f"{SECRETS}/download"
HTML = "<!DOCTYPE html><title>Sign in</title>"


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any


class _Token(NamedTuple):
    """Who may come: *of* is the config of a service token, ``None`` for all of them."""

    of: tuple[str, str] | None
    writes: bool
    projects: tuple[str, ...]


class Said(NamedTuple):
    """An answer given in the place of the real one."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    method: str


class DopplerServer:
    """``with DopplerServer() as doppler: doppler.url``."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:  # noqa: D107
        self._lock = threading.Lock()
        server = self

        class Handler(_Handler):
            doppler = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"
        self.reset()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget all but one empty config."""
        with self._lock:
            self.asked: list[Asked] = []
            self.configs: dict[tuple[str, str], dict[str, str]] = {(PROJECT, CONFIG): {}}
            self.before_write: Callable[[], object] | None = None
            self.raw: dict[str, str] = {}  # what stands behind a computed value
            self._tokens: dict[str, _Token] = {}
            self._said: deque[Said] = deque()

    def token(
        self,
        kind: str = "dp.st.prd",
        *,
        writes: bool = True,
        projects: tuple[str, ...] = (PROJECT,),
    ) -> str:
        """Make a token; one of a service (``dp.st.``) is for the one config."""
        token = f"{kind}.{secrets.token_hex(20)}"
        of = (PROJECT, CONFIG) if kind.startswith("dp.st.") else None
        self._tokens[token] = _Token(of, writes, projects)
        return token

    def put(self, contents: Mapping[str, str]) -> None:
        """Let the config hold *contents* and nothing else."""
        with self._lock:
            self.configs[PROJECT, CONFIG] = dict(contents)

    def say(
        self,
        status: int,
        body: object = None,
        *,
        times: int = 1,
        method: str = "GET",
        **headers: str,
    ) -> None:
        """Answer the next *times* requests with *body*: JSON, or a text as it is."""
        is_text = isinstance(body, (str, bytes))
        kind = "text/html" if body == HTML else "application/json"
        data = body if isinstance(body, bytes) else str(body).encode()
        if not is_text:
            messages = {"messages": ["This is what it says"], "success": False}
            data = json.dumps(messages if body is None else body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for _ in range(times):
            self._said.append(Said(status, data, {"Content-Type": kind, **named}, method))

    def say_no_more(self) -> None:
        """Answer as ever from now on."""
        with self._lock:
            self._said.clear()

    @property
    def contents(self) -> dict[str, str]:
        """What the config holds."""
        with self._lock:
            return dict(self.configs[PROJECT, CONFIG])

    @property
    def calls(self) -> list[str]:
        """What was asked, in order."""
        return [f"{each.method} {each.path.removeprefix(SECRETS)}".strip() for each in self.asked]

    def answer(self, asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers for *asked*."""
        with self._lock:
            self.asked.append(asked)
            if self._said and self._said[0].method == asked.method:
                said = self._said.popleft()
                return said.status, said.body, dict(said.headers)
        if asked.method == "POST" and self.before_write:
            before, self.before_write = self.before_write, None
            before()
        with self._lock:
            status, found = self._really(asked)
        body = json.dumps(found).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if status == 200 and asked.path == DOWNLOAD:
            headers["ETag"] = f'W/"{len(body):x}-{hashlib.sha256(body).hexdigest()[:27]}"'
            if asked.headers.get("if-none-match") == headers["ETag"]:
                return 304, b"", headers
        return status, body, headers

    def _really(self, asked: Asked) -> tuple[int, object]:
        scheme, _, text = asked.headers.get("authorization", "").partition(" ")
        token = self._tokens.get(text) if scheme == "Bearer" else None
        if token is None:
            return _refused(401, "Invalid Auth token")
        asked_for = (asked.parameters.get("project", ""), asked.parameters.get("config", ""))
        name = token.of or asked_for
        refusal = self._refusal(asked, token, name)
        if refusal is not None:
            return refusal
        return self._read(asked, name) if asked.method == "GET" else self._write(asked.body, name)

    def _refusal(
        self, asked: Asked, token: _Token, name: tuple[str, str]
    ) -> tuple[int, object] | None:
        if asked.path not in {SECRETS, DOWNLOAD}:
            return _refused(404, "Could not find requested resource")
        if not all(name):
            return _refused(400, "You must specify a project")
        if name[0] not in token.projects:
            return _refused(
                403, f"This token does not have access to requested project '{name[0]}'"
            )
        if name not in self.configs:
            return _refused(404, f"Could not find requested config '{name[1]}'")
        if asked.method == "POST" and not token.writes:
            return _refused(403, "This token does not have access to write secrets")
        return None

    def _read(self, asked: Asked, name: tuple[str, str]) -> tuple[int, object]:
        project, config = name
        meta = {
            "DOPPLER_PROJECT": project,
            "DOPPLER_ENVIRONMENT": config.partition("_")[0],
            "DOPPLER_CONFIG": config,
        }
        found = self.configs[name]
        wanted = asked.parameters.get("secrets")
        if wanted:
            found = {each: found[each] for each in wanted.split(",") if each in found}
        return 200, {**found, **meta}

    def _write(self, body: dict[str, Any], name: tuple[str, str]) -> tuple[int, object]:
        config = dict(self.configs[name])
        if ("secrets" in body) == ("change_requests" in body):
            return _refused(400, "You must specify either secrets or change_requests")
        for secret, value in body.get("secrets", {}).items():
            if value is None:
                config.pop(secret, None)
            else:
                config[secret] = value
        for change in body.get("change_requests", []):
            secret = change["name"]
            now = self.raw.get(secret, config.get(change["originalName"] or secret))
            if "originalValue" in change and change["originalValue"] != now:
                return _refused(409, f"The value of {secret} is not the original one")
            if change.get("shouldDelete"):
                del config[secret]
            elif change["value"] is not None:
                config[secret] = change["value"]
        self.configs[name] = config
        shown = {each: {"raw": text, "computed": text} for each, text in config.items()}
        return 200, {"secrets": shown, "success": True}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    doppler: DopplerServer

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(text) if text else None,
        )
        status, body, headers = self.doppler.answer(asked)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked may not have waited
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: the logs are looked at."""


def _refused(status: int, message: str) -> tuple[int, object]:
    return status, {"messages": [message], "success": False}


def clean(monkeypatch: pytest.MonkeyPatch, home: os.PathLike[str], **more: str) -> None:
    """Take away all of this machine's that may matter, and set *more* instead."""
    import os

    for name in [*os.environ]:
        if name.startswith("DOPPLER_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", os.fspath(home))
    for name, value in more.items():
        monkeypatch.setenv(name, value)


def backend(text: str) -> DopplerBackend:
    """Return the backend of the reference *text*."""
    (reference,) = parse(text, place="the test")
    opened = open_backend(reference)
    assert isinstance(opened, DopplerBackend)
    return opened


def load(text: str, account: str | None = None) -> Record:
    """Return the record that *text* leads to."""
    answer: Found | Absent = backend(text).load(account)
    record = getattr(answer, "record", None)
    assert record is not None, answer
    return record  # type: ignore[no-any-return]
