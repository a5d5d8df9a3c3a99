"""Redaction of a text that comes in pieces, wherever it is cut.

What may be the beginning of a secret is held back until the next piece has shown what it is; all
else goes out at once, so prompts and progress bars appear. What has gone out is exactly what
:func:`.engine.redact` would have made of the whole text.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from safetwilio.redaction import engine
from safetwilio.redaction.patterns import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_HELD = 65_536
"""What is held back is no secret any more when it gets longer: it is dropped, not let out."""

_ENCODING = ("utf-8", "surrogatepass")


class Redactor:
    """Masks the secrets in bytes that are fed to it piece by piece; one thread at a time."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._text = b""  # what decides about the next piece: a little that is out, and the held
        self._out = 0  # so much of it has gone out

    def feed(self, data: bytes) -> bytes:
        """Return what can be let out now that *data* has come, with masks; it never raises."""
        try:
            return self._let_out(self._text + data, is_last=False)
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
            return self._fail()

    def finish(self) -> bytes:
        """Return what was held back, with masks: no more will come."""
        try:
            return self._let_out(self._text, is_last=True)
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
            return self._fail()

    def _let_out(self, text: bytes, *, is_last: bool) -> bytes:
        matcher = engine.current()
        spans = matcher.spans(text)
        ready = len(text) if is_last else max(self._out, matcher.unfinished(text))
        if ready < len(text) - LONGEST_HELD:
            return self._fail()
        parts: list[bytes] = []
        done = self._out
        for begin, end, shown in spans:
            if done < end <= ready:
                parts += (text[done:begin], engine.written(shown))
                done = end
        parts.append(text[done:ready])
        keep = max(0, ready - CONTEXT)
        self._text, self._out = (b"", 0) if is_last else (text[keep:], ready - keep)
        return b"".join(parts)

    def _fail(self) -> bytes:
        self._text, self._out = b"", 0
        return engine.FAILED.encode()


class RedactingStream:
    """A stand-in for the text or binary *stream*, which masks what is written to it.

    What it holds back goes out with the next write, or at the latest when it is closed; a ``flush``
    does not let out what may be the beginning of a secret. Threads may share it.
    """

    def __init__(self, stream: Any) -> None:
        """Write to *stream*, which stays the caller's."""
        self._stream = stream
        self._lock = RLock()
        self._redactor = Redactor()
        self._is_text = True
        self._buffer: RedactingStream | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> RedactingStream:
        """The binary stream below a text stream, redacted too."""
        with self._lock:
            self.flush()
            if self._buffer is None:
                self._buffer = RedactingStream(self._stream.buffer)
            return self._buffer

    def write(self, data: Any) -> int:
        """Write *data*, a ``str`` or ``bytes`` as the stream wants it, but for what is held back.

        Return its length, as if all of it had been written.
        """
        with self._lock:
            self._is_text = isinstance(data, str)
            piece = data.encode(*_ENCODING) if self._is_text else bytes(data)
            self._pass_on(self._redactor.feed(piece))
        return len(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each of *lines*."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream; what is held back stays so."""
        self._stream.flush()

    def finish(self) -> None:
        """Write what was held back, with masks: as at the end of the process."""
        with self._lock:
            if self._buffer is not None:
                self._buffer.finish()
            self._pass_on(self._redactor.finish())
            self._stream.flush()

    def close(self) -> None:
        """Write what was held back and close the stream."""
        self.finish()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._stream.write(data.decode(*_ENCODING) if self._is_text else data)
