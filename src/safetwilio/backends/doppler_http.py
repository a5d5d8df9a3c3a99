"""How one request reaches Doppler, and what can go wrong on the way.

``requests`` sends it, which comes with Twilio's library: nothing is followed elsewhere, no answer
is read without end, and no ``.netrc`` takes the place of the token.
"""

from __future__ import annotations

import http
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.backends.addresses import origin
from safetwilio.backends.bodies import TooLongError, pieces
from safetwilio.backends.deadline import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from safetwilio.backends.deadline import Deadline
    from safetwilio.backends.failures import Failures
    from safetwilio.errors import BackendError

_REDIRECTION = 3  # a hundred
_SHORTEST_WAIT = 0.1  # requests takes no timeout of nothing
_DEEPEST = 8  # errors within errors: requests' hold urllib3's, and those the socket's
_RETRY_DIGITS = 4
_NO_BODY = frozenset({http.HTTPStatus.NOT_MODIFIED, http.HTTPStatus.NO_CONTENT})
# Innermost first; the classes of requests and urllib3 by name, so that nothing is imported.
_WORDS = {
    "SSLCertVerificationError": "its TLS certificate was not accepted",
    "SSLError": "no TLS connection",
    "ProxyError": "the proxy named in the environment does not let us through",
    "gaierror": "no such host",
    "ConnectionRefusedError": "connection refused",
    "IncompleteRead": "its answer was cut off",
    "ConnectTimeout": "no connection in time",
    "TimeoutError": "no answer in time",
    "ReadTimeout": "no answer in time",
    "RemoteDisconnected": "the connection was closed without an answer",
    "ProtocolError": "the connection broke",
    "ConnectionError": "the connection broke",
}


class Request(NamedTuple):
    """What is asked of *address*; *etag* is that of the answer known already."""

    method: str
    address: str
    parameters: Mapping[str, str]
    token: SecretStr
    etag: str = ""
    data: object = None


class Answer:
    """What came back: a *status*, its *etag*, and a JSON object that is shown to nobody."""

    __slots__ = ("body", "etag", "problem", "status", "wait", "where")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take an answer apart; *problem* says why its body is no JSON object."""
        self.status = status
        self.etag = headers.get("ETag", "")
        self.where = headers.get("Location", "")
        self.wait = _seconds(headers.get("Retry-After", ""))
        self.body, self.problem = _object(body, headers.get("Content-Type", ""))

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"

    @property
    def is_dopplers(self) -> bool:
        """Whether Doppler itself says so: a proxy's pages are HTML, and it also has a 404."""
        return self.body is not None or self.status in _NO_BODY


class _Busy(Exception):
    """The answer may be another one in a moment."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def ask(request: Request, deadline: Deadline, failures: Failures, *, fix: str = "") -> Answer:
    """Return what Doppler answers to *request*; 429 is asked again, and 5xx if it only reads.

    Raises :class:`safetwilio.errors.BackendError`: ST332, with *fix*, if it is not Doppler that
    answers, or not in time; ST333 for an answer that is cut off.
    """
    import requests  # here, and not in the thread: importing it is not in the deadline

    busy: list[Answer] = []  # the last word, if time runs out while asking again
    again = partial(_again, busy=busy, deadline=deadline, reads=request.method == "GET")
    outcome = run(deadline, partial(_send, requests, request, deadline), again=again)
    answer = outcome.answer or (busy[-1] if busy and _is_late(outcome.error) else None)
    where = origin(request.address)
    if answer is None:
        why = _why(outcome.error, deadline)
    elif answer.status // 100 == _REDIRECTION and answer.status not in _NO_BODY:
        why = f"it redirects to {_plain(answer.where)}, and a token is not sent after it"
    elif outcome.answer is None:
        too_many = answer.status == http.HTTPStatus.TOO_MANY_REQUESTS
        why = "too many requests (429)" if too_many else f"answered with HTTP {answer.status}"
    elif answer.problem and answer.status == http.HTTPStatus.OK and request.method == "GET":
        raise _cut_off(answer.problem, failures)
    elif not answer.is_dopplers:
        why = f"what answered (HTTP {answer.status}) is not Doppler's API"
    else:
        return answer
    raise failures.unreachable(where=where, why=why, fix=fix)


def _cut_off(problem: str, failures: Failures) -> BackendError:
    return failures.malformed(
        what=f"the answer is {problem}",
        fix="Try again. If it stays, look at what is between this machine and Doppler: a proxy "
        "may cut answers off.",
    )


def _is_late(error: Exception | None) -> bool:
    return isinstance(error, _Busy | TimeoutError) or type(error).__name__.endswith("Timeout")


def _again(error: Exception, *, busy: list[Answer], deadline: Deadline, reads: bool) -> bool:
    """Return whether to ask again, after the pause that Doppler wants, if there is time for it."""
    if not isinstance(error, _Busy):
        return False
    busy.append(error.answer)
    if not reads and error.answer.status != http.HTTPStatus.TOO_MANY_REQUESTS:
        return False  # it may have been written
    if error.answer.wait >= deadline.remaining():
        return False
    time.sleep(error.answer.wait)
    return True


def _send(requests: Any, request: Request, deadline: Deadline) -> Answer:
    with requests.Session() as session:
        # A proxy of the environment would get the token in plain text.
        session.trust_env = request.address.startswith("https:")
        with session.request(
            request.method,
            request.address,
            params=request.parameters,
            headers=_headers(request),
            json=request.data,
            auth=_bearer(requests, request.token),
            timeout=max(deadline.remaining(), _SHORTEST_WAIT),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = b"".join(pieces(response.raw, deadline.remaining))
            answer = Answer(response.status_code, response.headers, body)
    busy = answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    if busy or answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
        raise _Busy(answer)
    return answer


def _headers(request: Request) -> dict[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    return {**headers, "If-None-Match": request.etag} if request.etag else headers


def _bearer(requests: Any, token: SecretStr) -> Any:
    """Return what signs a request; a plain header would be replaced by an entry of a .netrc."""

    class Bearer(requests.auth.AuthBase):  # type: ignore[misc]
        def __call__(self, request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token.get_secret_value()}"
            return request

    return Bearer()


def _object(body: bytes, kind: str) -> tuple[dict[str, Any] | None, str]:
    """Return the JSON object in *body*, or what is wrong with it if it means to be JSON."""
    problem = ""
    try:
        found = json.loads(body)
    except json.JSONDecodeError as error:
        problem = f"cut off, or not JSON: line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):  # no UTF-8, too deep, or a number of too many digits
        problem = "JSON that cannot be read"
    else:
        problem = "" if isinstance(found, dict) else "JSON, but not an object"
    if problem:
        return None, problem if "json" in kind.lower() else ""
    return found, ""


def _seconds(text: str) -> float:
    """Return the seconds of a ``Retry-After``; the other form it may have, a date, is no use."""
    plain = text.isascii() and text.isdigit() and len(text) <= _RETRY_DIGITS
    return float(text) if plain else 0.0


def _plain(address: str) -> str:
    shown = origin(address)
    return shown if shown.isascii() and shown.isprintable() and "://" in shown else "elsewhere"


def _why(error: BaseException | None, deadline: Deadline) -> str:
    """Return in our words what kept the answer away; the library's own may quote the request."""
    names: list[str] = []
    found: object = error
    while isinstance(found, BaseException) and len(names) < _DEEPEST:
        names.append(type(found).__name__)
        inner = (getattr(found, "reason", None), *found.args, found.__cause__, found.__context__)
        found = next((each for each in inner if isinstance(each, BaseException)), None)
    if TooLongError.__name__ in names:
        return str(TooLongError())
    if names == ["TimeoutError"]:
        return f"no answer within {deadline.seconds:g} s"
    known = (words for name, words in _WORDS.items() if name in names)
    return next(known, f"the exchange failed ({names[0] if names else 'no answer'})")
