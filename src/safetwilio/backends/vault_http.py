"""How one request reaches a Vault, and what can go wrong on the way.

hvac sends it; nothing is followed elsewhere, and no answer is read without end.
"""

from __future__ import annotations

import http
import io
import json
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from safetwilio.backends.bodies import TooLongError, pieces
from safetwilio.backends.deadline import deadline_of, run
from safetwilio.backends.vault_settings import ADDRESS, CA_FILE, NAMESPACE, server, setting
from safetwilio.extras import need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from safetwilio.backends.failures import Failures
    from safetwilio.backends.locate import Reference
    from safetwilio.errors import BackendError
    from safetwilio.problems import Problem

_REDIRECTION = 3  # a hundred
_LONGEST_ORIGIN = 200
_DEEPEST = 8  # errors within errors: requests' hold urllib3's, and those the socket's
_BUSY = frozenset({412, 429, 500, 502, 503, 504})


class Answer:
    """What came back: a *status*, and a JSON object that is shown to nobody."""

    __slots__ = ("_body", "location", "status")

    def __init__(self, status: int, body: object, location: str = "") -> None:
        """Take the parts of an answer; *location* is where it redirects to."""
        self.status = status
        self.location = location
        self._body = body

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"

    @property
    def is_object(self) -> bool:
        """Whether it is a JSON object, as all that Vault says is."""
        return isinstance(self._body, dict)

    def get(self, *names: str) -> Any:
        """Return what stands under *names*, one inside the other, or ``None``."""
        found = self._body
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def says(self, words: str) -> bool:
        """Return whether one of its errors or warnings has these *words*."""
        said = [self.get("errors"), self.get("warnings")]
        texts = [text for texts in said if isinstance(texts, list) for text in texts]
        return any(words in text for text in texts if isinstance(text, str))


class _Busy(Exception):
    """The answer may be another one in a moment."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Connection:
    """All requests of one load or save, by one deadline; nothing of it outlives the block."""

    def __init__(self, reference: Reference, failures: Failures, *, agent: bool) -> None:
        """Read the settings and import hvac; raises as :func:`server`, and ST901 without it."""
        self.deadline = deadline_of(reference)
        self.server = server(failures, agent=agent)
        self.failures = failures
        self.problems: list[Problem] = []
        hvac = need("hvac", extra="vault", purpose="vault:")
        self._client = hvac.Client(
            url=self.server.address,
            token="",  # None would make hvac look for one by itself
            cert=self.server.certificate,
            verify=self.server.verify,
            allow_redirects=False,
            adapter=need("hvac.adapters", extra="vault", purpose="vault:").RawAdapter,
        )
        session = self._client.session
        session.headers["Accept-Encoding"] = "identity"
        session.hooks["response"].append(self._read_whole)
        # A proxy of the environment would get the token in plain text.
        session.trust_env = not self.server.is_plain

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.adapter.close()

    def ask(  # noqa: PLR0913 - a request has these parts
        self,
        method: str,
        path: str,
        *,
        token: SecretStr | None = None,
        data: Mapping[str, object] | None = None,
        version: int | None = None,
        fix: str = "",
    ) -> Answer:
        """Return the answer to *method* *path* (below ``/v1/``) if Vault itself gave one.

        Anything but a redirect or a breakdown is an answer. Raises
        :class:`safetwilio.errors.BackendError`: ST332 with *fix*, or ST335 for a sealed Vault.
        """
        call = partial(self._send, method, path, token, data, version)
        outcome = run(self.deadline, call)
        if isinstance(outcome.error, _Busy):
            state = self._state(path, outcome.error.answer)  # before the time is used up
            again = partial(_again, changes=method != "get")
            if again(outcome.error):
                outcome = run(self.deadline, call, again=again)
            if isinstance(outcome.error, _Busy | TimeoutError):
                raise self._unreachable(state, fix)
        answer = outcome.answer
        if answer is None:
            raise self._unreachable(_why(outcome.error), fix)
        if answer.status // 100 == _REDIRECTION:
            raise self._unreachable(
                f"it redirects to {_origin(answer.location)}, and a login is not sent after it",
                f"Set {ADDRESS} to the address that answers by itself.",
            )
        if answer.status in _BUSY:
            self._state(path, answer)
        if answer.status != http.HTTPStatus.NO_CONTENT and not answer.is_object:
            raise self._unreachable(f"what answered ({answer.status}) is no Vault", "")
        if answer.says("namespace not found"):
            raise setting(
                f"the namespace {self.server.namespace}",
                "there is none of that name",
                f"Correct namespace= in the reference, or env {NAMESPACE}.",
            )
        return answer

    def _unreachable(self, why: str, fix: str) -> BackendError:
        return self.failures.unreachable(where=_origin(self.server.address), why=why, fix=fix)

    def _state(self, path: str, answer: Answer) -> str:
        """Return why a Vault gives such an *answer*, or raise ST335 if that takes a person."""
        health = run(self.deadline, partial(self._send, "get", "sys/health", None, None, None))
        error = health.error
        state = (error.answer if isinstance(error, _Busy) else health.answer) or Answer(0, None)
        if state.get("initialized") is False:
            raise self.failures.disabled(
                why=f"{_origin(self.server.address)}: it was never initialised",
                fix="Initialise it: vault operator init. Or correct the address.",
            )
        if answer.says("sealed") or state.get("sealed") is True:
            raise self.failures.disabled(
                why=f"{_origin(self.server.address)}: it is sealed",
                fix="Somebody who holds the keys has to unseal it: vault operator unseal",
            )
        if state.get("standby") is True:
            return "a standby that does not reach the active node"
        if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
            return f"{path}: too many requests (429)"
        return f"{path} answered with {answer.status}"

    def _send(
        self,
        method: str,
        path: str,
        token: SecretStr | None,
        data: Mapping[str, object] | None,
        version: int | None,
    ) -> Answer:
        headers = {}
        if token is not None:
            headers["X-Vault-Token"] = token.get_secret_value()
        if self.server.namespace is not None and path != "sys/health":
            headers["X-Vault-Namespace"] = self.server.namespace
        response = self._client.adapter.request(
            method,
            f"/v1/{quote(path)}",
            headers=headers,
            raise_exception=False,
            json=data,
            params=None if version is None else {"version": version},
            timeout=max(self.deadline.remaining(), 0.1),
        )
        answer = Answer(
            response.status_code,
            _parsed(response.content),
            response.headers.get("Location", ""),
        )
        if answer.status in _BUSY and not answer.says("sealed"):
            raise _Busy(answer)
        return answer

    def _read_whole(self, response: Any, **_: object) -> None:
        """Read the body of *response* to its end, or until there is too much of it, or no time."""
        try:
            body = b"".join(pieces(response.raw, self.deadline.remaining))
        finally:
            response.raw.close()
        response.raw = io.BytesIO(body)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _again(error: Exception, *, changes: bool) -> bool:
    """Return whether what failed may be asked anew; what *changes* something, only if refused."""
    if not isinstance(error, _Busy):
        return False
    return not changes or error.answer.status == http.HTTPStatus.TOO_MANY_REQUESTS


def _why(error: BaseException | None) -> str:
    """Return in our words what kept the answer away; the library's own may quote the request."""
    layers: list[BaseException] = []
    found: object = error
    while isinstance(found, BaseException) and found not in layers and len(layers) < _DEEPEST:
        layers.append(found)
        inner = getattr(found, "reason", None)
        first = found.args[0] if found.args else None
        found = next(
            (each for each in (inner, first, found.__cause__, found.__context__)
             if isinstance(each, BaseException)),
            None,
        )  # fmt: skip
    names = {type(layer).__name__ for layer in layers}
    if "ProxyError" in names:
        return "the proxy named in the environment does not let us through"
    for layer in reversed(layers):
        for kind, words in _WORDS:
            if isinstance(layer, kind):
                return words
    if names & {"ConnectTimeout", "ReadTimeout", "ConnectTimeoutError", "ReadTimeoutError"}:
        return "no answer in time"
    return f"the exchange failed ({type(error).__name__})"


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TooLongError, str(TooLongError())),
    (
        ssl.SSLCertVerificationError,
        f"its certificate is not one we trust (the authority is named in {CA_FILE})",
    ),
    (
        ssl.SSLError,
        "no TLS connection (does it ask for a client certificate, or speak plain HTTP?)",
    ),
    (socket.gaierror, "no such host"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "the connection broke"),
    (TimeoutError, "no answer in time"),
)


def _origin(address: str) -> str:
    """Return *address* without what may hold a secret."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme}://{host}" if host else "elsewhere"
    plain = shown.isascii() and shown.isprintable() and len(shown) < _LONGEST_ORIGIN
    return shown if plain else "elsewhere"
