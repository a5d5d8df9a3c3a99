"""Callbacks that the emulator sends as Twilio does: signed HTTP requests to the user's own server.

Only ``http`` to a loopback address is sent, anything else is kept and not sent. One thread sends
them one after the other; it lives while there are any. Each is in ``emulator.callbacks``, sent or
not. The signature is that of https://www.twilio.com/docs/usage/security#validating-requests (facts:
webhooks-and-frameworks.md, section 1), with the account's primary Auth Token at the time.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from datetime import datetime

    from safetwilio.testing.state import Account

# https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides: 15 seconds by default
DEADLINE = 15.0  # seconds for one attempt, from connecting to the end of the answer
LARGEST_ANSWER = 1 << 16  # bytes; what comes after them is not waited for
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9}) *\r", re.IGNORECASE)

State = Literal["waiting", "answered", "failed", "not sent"]


@dataclass(frozen=True)
class Callback:
    """One request to a *url* by *method* with *parameters* about the resource *about*.

    *state* is ``"answered"`` after a 2xx, ``"failed"`` after anything else, ``"not sent"`` if it
    may not be; *status* is that of the last of its *attempts*, *reason* says what went wrong.
    """

    account_sid: str
    about: str
    method: str
    url: str = field(repr=False)
    parameters: Mapping[str, str]
    at: datetime
    state: State = "waiting"
    status: int | None = None
    attempts: int = 0
    reason: str = ""


@dataclass
class _Entry:
    callback: Callback
    account: Account
    retries: int


class Callbacks(Sequence[Callback]):
    """The callbacks so far, the oldest first: sent, being sent, and not sent."""

    def __init__(self, when_failed: Callable[[Account, Callback], None]) -> None:
        """Start without any; *when_failed* hears of each that failed for good."""
        self._when_failed = when_failed
        self._all: list[_Entry] = []
        self._queue: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._stopping = False

    def __repr__(self) -> str:
        return f"<Callbacks: {len(self)}>"

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self[:])

    @overload
    def __getitem__(self, index: int) -> Callback: ...
    @overload
    def __getitem__(self, index: slice) -> list[Callback]: ...
    def __getitem__(self, index: int | slice) -> Callback | list[Callback]:
        found = self._all[index]
        return [each.callback for each in found] if isinstance(found, list) else found.callback

    def send(self, account: Account, callback: Callback, *, retries: int) -> None:
        """Send *callback* of *account* in the background, *retries* times more on a 5xx."""
        with self._changed:
            entry = _Entry(callback, account, retries)
            self._all.append(entry)
            why_not = why_not_sent(callback.url)
            if why_not:
                self._note(entry, state="not sent", reason=why_not)
                return
            self._queue.append(entry)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="safetwilio-callbacks", daemon=True
                )
                self._thread.start()

    def wait(self, seconds: float = 30.0) -> bool:
        """Wait until no callback is under way, at most *seconds*; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, seconds)

    def stop(self) -> None:
        """End what is under way and send nothing that waits; later callbacks are sent again."""
        with self._changed:
            thread = self._thread
            if thread is None or thread is threading.current_thread():
                return
            self._stopping = True
            if self._socket is not None:
                with contextlib.suppress(OSError):  # not connected yet, or not any more
                    self._socket.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE)
        with self._changed:
            self._stopping = False

    def clear(self) -> None:
        """End what is under way, and forget all."""
        self.stop()
        with self._changed:
            self._all.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    for waiting in self._queue:
                        self._note(waiting, state="not sent", reason="the emulator stopped")
                    self._queue.clear()
                if not self._queue:
                    self._thread = None
                    self._changed.notify_all()
                    return
                entry = self._queue.popleft()
            self._send_until_answered(entry)

    def _send_until_answered(self, entry: _Entry) -> None:
        attempts, again = 0, True
        while again:
            attempts += 1
            status, reason = self._attempt(entry)
            again = status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR
            again = again and attempts <= entry.retries and not self._stopping
            state: State = "waiting" if again else "failed" if reason else "answered"
            self._note(entry, state=state, status=status, attempts=attempts, reason=reason)
        if entry.callback.state == "failed" and not self._stopping:
            self._when_failed(entry.account, entry.callback)

    def _attempt(self, entry: _Entry) -> tuple[int | None, str]:
        """Send once; return the status of the answer, and what is wrong with it if anything is."""
        try:
            status = self._exchange(entry.callback, entry.account.auth_token)
        except (OSError, ValueError) as error:
            return None, "the emulator stopped" if self._stopping else str(error)
        succeeded = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        return status, "" if succeeded else f"answered with {status}"

    @staticmethod
    def _note(entry: _Entry, **changes: Any) -> None:
        entry.callback = replace(entry.callback, **changes)

    def _exchange(self, callback: Callback, secret: str) -> int:
        """Send *callback* once and return the status of the answer; redirects are not followed."""
        until = time.monotonic() + DEADLINE
        parts = urlsplit(callback.url)
        with socket.create_connection((_address(parts.hostname), parts.port or 80), DEADLINE) as to:
            with self._changed:
                if self._stopping:
                    raise OSError("the emulator stopped")
                self._socket = to
            try:
                to.sendall(request_of(callback, secret))
                return _status_of(_read(to, until))
            finally:
                with self._changed:
                    self._socket = None


def why_not_sent(url: str) -> str:
    """Return why the emulator does not call *url*, an empty string if it does."""
    try:
        parts = urlsplit(url)
        address, _ = ipaddress.ip_address(_address(parts.hostname)), parts.port
    except ValueError:
        return "not a loopback address"
    if not address.is_loopback:
        return "not a loopback address"
    if parts.scheme != "http":
        return "not http"
    return "user and password in the URL are not emulated" if "@" in parts.netloc else ""


def _address(host: str | None) -> str:
    return "127.0.0.1" if host == "localhost" else host or ""


def request_of(callback: Callback, secret: str) -> bytes:
    """Return the HTTP request that carries *callback*, signed with *secret*."""
    url, form = callback.url.partition("#")[0], ""
    signed = dict(callback.parameters)
    if callback.method == "GET":
        url += ("&" if "?" in url else "?") + urlencode(callback.parameters)
        signed = {}
    else:
        form = urlencode(callback.parameters)
    parts = urlsplit(url)
    lines = [
        f"{callback.method} {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1",
        f"Host: {parts.netloc}",
        "User-Agent: safetwilio-emulator",
        "Connection: close",
        f"X-Twilio-Signature: {signature(secret, url, signed)}",
    ]
    if callback.method != "GET":
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(form)}"]
    return "\r\n".join([*lines, "", form]).encode("ascii")


def signature(secret: str, url: str, parameters: Mapping[str, str]) -> str:
    """Return the value of ``X-Twilio-Signature`` for a request to *url* with form *parameters*."""
    text = url + "".join(name + value for name, value in sorted(parameters.items()))
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def _read(source: socket.socket, until: float) -> bytes:
    """Return the answer: to its end, to ``LARGEST_ANSWER`` bytes, or raise ``TimeoutError``."""
    answer = b""
    while len(answer) < LARGEST_ANSWER and not _is_whole(answer):
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        source.settimeout(left)
        more = source.recv(1 << 14)
        if not more:
            break
        answer += more
    return answer


def _is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r")
    return bool(blank and length) and len(body) >= int(length[1] if length else 0)


def _status_of(answer: bytes) -> int:
    found = _STATUS.match(answer)
    if found is None:
        raise ValueError("no HTTP answer")
    return int(found[1])
