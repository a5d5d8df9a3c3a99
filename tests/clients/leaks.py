"""Finding copies of a secret: in captured errors, in frames, in whatever an object leads to."""

from __future__ import annotations

import base64
import json
import secrets
import string
import traceback
import types
from collections import deque
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.transport import Transport as SentryTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentry_sdk.envelope import Envelope

FRAGMENT = 12
_BASE62 = string.ascii_letters + string.digits
_OPAQUE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


def new_secret() -> str:
    """Return a secret as Twilio makes them."""
    return "".join(secrets.choice(_BASE62) for _ in range(32))


class Spotter:
    """Knows the fragments of *values*, plain and in base64 at any alignment."""

    def __init__(self, *values: str) -> None:
        """Look for *values*."""
        forms = {form for value in values for form in _forms(value)}
        self._fragments = {
            form[start : start + FRAGMENT]
            for form in forms
            for start in range(len(form) - FRAGMENT + 1)
        }

    def count(self, text: str) -> int:
        """Return how many fragments *text* holds."""
        return sum(each in text for each in self._fragments) if len(text) >= FRAGMENT else 0

    def in_object(self, start: object, *, but: tuple[object, ...] = ()) -> list[str]:
        """Return the paths from *start* to a fragment, not through closures or *but*."""
        texts = list(_texts(start, {id(each) for each in but}))
        if not self.count("\n".join(text for _, text in texts)):
            return []
        return [path for path, text in texts if self.count(text)]

    def in_error(self, error: BaseException, *, in_sentry: bool = True) -> list[str]:
        """Return where a fragment shows: chain, attributes, frames, locals and what they hold."""
        found, held = [], {}
        for number, link in enumerate(_chain(error)):
            held[f"error {number}"] = link
            found += [f"traceback of error {number}"] * bool(self.count(_rendered(link)))
            for frame, _ in traceback.walk_tb(link.__traceback__):
                for name, value in frame.f_locals.items():
                    held[f"error {number} {frame.f_code.co_qualname} {name}"] = value
        found += self.in_object(held)
        if not in_sentry:
            return found
        event = sentry_event(error)
        assert '"vars"' in event  # it did capture local variables
        return found + ["sentry"] * bool(self.count(event))


def sentry_event(error: BaseException) -> str:
    """Return the event that a real Sentry SDK would send for *error*, with locals, as JSON."""
    transport = _Keeping()
    client = sentry_sdk.Client(
        dsn="http://public@127.0.0.1:9/1",
        transport=transport,
        include_local_variables=True,
        default_integrations=False,
        max_value_length=1_000_000,
    )
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        scope.capture_exception(error)
    client.close(timeout=0)
    assert len(transport.events) == 1
    return transport.events[0]


class _Keeping(SentryTransport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events += [
            json.dumps(item.payload.json, default=repr)
            for item in envelope.items
            if item.type == "event"
        ]


def caught(call: Callable[[], object]) -> BaseException:
    """Return what *call* raises; its frames begin here, so the test's own are not in them."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("nothing was raised")


def _rendered(error: BaseException) -> str:
    try:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    except AttributeError:  # Python 3.11 fails on the repr of what Twilio had not finished making
        return ""
    return "".join(trace.format())


def _forms(value: str) -> Iterator[str]:
    yield value
    for shift in range(3):
        encoded = base64.b64encode(b":" * shift + value.encode()).decode()
        yield encoded[-(-8 * shift // 6) : 8 * (shift + len(value)) // 6]


def _chain(error: BaseException) -> Iterator[BaseException]:
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        link = pending.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            pending += [link.__cause__, link.__context__]


def _texts(start: object, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Yield every string that *start* leads to, with its path."""
    pending: deque[tuple[str, object]] = deque([("", start)])
    kept = []  # so that no id is used twice
    while pending:
        path, value = pending.popleft()
        if id(value) in seen or isinstance(value, _OPAQUE):
            continue
        seen.add(id(value))
        kept.append(value)
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, (bytes, bytearray, memoryview)):
            yield path, bytes(value).decode("latin-1")
        else:
            yield path + "!r", _safely(repr, value)
            pending += [(path + step, inner) for step, inner in _parts(value)]


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, (dict, types.MappingProxyType)):
        for key, inner in list(value.items()):
            yield f"[{_safely(repr, key)[:80]}]", inner
            yield " key", key
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from ((f"[{number}]", inner) for number, inner in enumerate(list(value)))
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
    elif isinstance(value, types.FrameType):
        yield ".f_locals", value.f_locals
    for name, inner in list(getattr(value, "__dict__", {}).items()):
        yield f".{name}", inner
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{kind.__name__}{slot}" if slot.startswith("__") else slot
            yield f".{name}", _safely(lambda name=name: getattr(value, name), default=None)
    if isinstance(value, BaseException):
        yield ".args", value.args


def _safely(function: Callable[..., Any], *arguments: object, default: Any = "") -> Any:
    try:
        return function(*arguments)
    except Exception:  # noqa: BLE001 - a value that cannot be shown shows nothing
        return default
