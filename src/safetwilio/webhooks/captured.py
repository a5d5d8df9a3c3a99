"""A captured request, as a proxy's inspector or ``tcpdump`` shows it, taken apart for a check.

Nothing is executed or sent. A capture often has lost its carriage returns, and some tools write the
whole URL into the request line.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from safetwilio.errors import UsageError
from safetwilio.webhooks.headers import is_form

LARGEST = 1 << 20  # bytes; Twilio's own are a few KiB
_LONGEST_LENGTH = 10
_HOW = (
    'It is what was sent, in HTTP/1.1, and not a log of it (no "> " before the lines): a line such '
    "as POST /sms HTTP/1.1, then the headers, an empty line, and the body just as it was received."
)


class Captured(NamedTuple):
    """One request: its *method*, the *target* of its first line, its *headers* and its *body*."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of the header *name*, empty if there is none."""
        lowered = name.lower()
        return next((value for known, value in self.headers if known.lower() == lowered), "")

    @property
    def is_form(self) -> bool:
        """Whether the body has parameters that Twilio signs."""
        return is_form(self.header("Content-Type"))

    @property
    def params(self) -> list[tuple[str, str]] | None:
        """The parameters of a form, ``None`` if it is none."""
        if not self.is_form:
            return None
        text = self.body.decode("utf-8", "replace").strip("\r\n")
        return parse_qsl(text, keep_blank_values=True)


def captured(data: bytes) -> Captured:
    """Return the request in *data*, an HTTP/1.1 message; lines may end without carriage returns.

    :raises UsageError: ST911, when it is none, or larger than 1 MiB.
    """
    found = None if len(data) > LARGEST else _taken_apart(data)
    if found is None:
        size = len(data)
        del data
        raise UsageError(
            f"The {size} bytes given are no HTTP request of up to {LARGEST >> 20} MiB. {_HOW}",
            code="ST911",
        )
    return _whole(found)


def _taken_apart(data: bytes) -> Captured | None:
    data = data.lstrip(b"\r\n \t\xef\xbb\xbf")
    ends = [(at, end) for end in (b"\r\n\r\n", b"\n\n") if (at := data.find(end)) >= 0]
    at, end = min(ends, default=(len(data), b""))
    first, *lines = data[:at].decode("latin-1").splitlines() or [""]
    method, _, rest = first.partition(" ")
    target = rest.rpartition(" ")[0] if rest.rpartition(" ")[2].startswith("HTTP/") else rest
    if not (method.isascii() and method.isalpha() and method.isupper()) or not target.strip():
        return None
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            return None
        headers.append((name.strip(), value.strip()))
    return Captured(method, target.strip(), tuple(headers), data[at + len(end) :])


def _whole(request: Captured) -> Captured:
    """Return *request* with the body that its Content-Length says, or raise ST911."""
    said = request.header("Content-Length")
    if "chunked" in request.header("Transfer-Encoding").lower():
        raise UsageError(
            "The body is chunked. Take a capture behind your server, where it is put together, or "
            "give it with --header and --data @FILE.",
            code="ST911",
        )
    if not (said.isascii() and said.isdecimal() and len(said) < _LONGEST_LENGTH):
        return request
    missing = int(said) - len(request.body)
    if missing > 0:
        raise UsageError(
            f"The capture is cut short: of the {said} bytes of the body {missing} are missing.",
            code="ST911",
        )
    # An editor has put a line end there.
    is_end = not request.body[int(said) :].strip(b"\r\n")
    return request._replace(body=request.body[: int(said)]) if is_end else request
