"""Sentry's SDK for Python.

Everything it sends (events, transactions, logs, metrics, profiles, check-ins, attachments) is an
envelope, and every transport of its own writes it with ``Envelope.serialize_into``. The bytes
written there are redacted. ``before_send`` and its relatives would not do: they see only some
kinds of items, and objects whose ``repr`` is made later.

A transport of the user's own reads envelopes as objects; it gets a redacted copy.

The ``baggage`` header of outgoing requests, which tells other services the name of the transaction,
is no envelope; it is redacted where ``Baggage`` writes it.
"""

from __future__ import annotations

import io
import re
import sys
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from safetwilio.redaction.engine import current, redact, redact_bytes, redact_value
from safetwilio.redaction.signatures import hide_signatures
from safetwilio.redaction.sinks._patch import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULE = "sentry_sdk"
_PARTS = ("sentry_sdk.client", "sentry_sdk.envelope", "sentry_sdk.tracing_utils")
_DEPTH = 32
_LONGEST_KEPT = 2**20
_MASK = re.compile(r"\[TWILIO:[^]]*\]")

_patches: list[Patch] = []
_shadowed: weakref.WeakSet[Any] = weakref.WeakSet()


def available() -> bool:
    """Return whether ``sentry_sdk`` is imported (waiting for a thread in the middle of it).

    While that thread is, none of the submodules may be imported here: each thread would hold one
    that the other needs, and Python would hand the application a module half made.
    """
    if MODULE not in sys.modules:
        return False
    try:
        import sentry_sdk  # noqa: F401 - takes its own lock alone

        if _is_initialising(MODULE):  # by this very thread, or by one that waits for it
            return all(name in sys.modules and not _is_initialising(name) for name in _PARTS)
        if MODULE not in sys.modules:  # the other thread's import has failed
            return False
        for name in _PARTS:
            import_module(name)
    except Exception:  # noqa: BLE001 - a stand-in, blocked by None, or broken
        return False
    return True


def _is_initialising(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def is_stale() -> bool:
    """Return whether the library installed into is no longer the one that is imported.

    A reloader or a test tool may have purged ``sys.modules``; a later import made another.
    """
    live = getattr(sys.modules.get("sentry_sdk.envelope"), "Envelope", None)
    return bool(_patches) and _patches[0].owner is not live


def install() -> None:
    """Redact every envelope of this process."""
    # As return values: after an import that failed half-way, a second one finds them loaded and
    # does not make them attributes of the new package.
    client, envelope, tracing = map(import_module, _PARTS)
    if is_stale():
        uninstall()
        _patches.clear()
    if not _patches:
        _patches.append(Patch(envelope.Envelope, "serialize_into", _serialize_into))
        _patches.append(Patch(client, "make_transport", _make_transport))
        _patches.append(Patch(tracing.Baggage, "serialize", _baggage))
    for patch in _patches:
        patch.apply()
    _shadow(import_module(MODULE).get_client().transport)


def uninstall() -> None:
    """Restore the functions, transports and event processors."""
    for patch in _patches:
        patch.remove()
    for transport in tuple(_shadowed):
        vars(transport).pop("capture_envelope", None)
    _shadowed.clear()
    processors = getattr(sys.modules.get("sentry_sdk.scope"), "global_event_processors", [])
    if redact_event in processors:
        processors.remove(redact_event)


def fall_back() -> None:
    """Use a global event processor: errors and transactions, not logs, attachments or headers."""
    from sentry_sdk.scope import add_global_event_processor, global_event_processors

    if redact_event not in global_event_processors:
        add_global_event_processor(redact_event)


def redact_event(event: Any, hint: Any) -> Any:  # noqa: ARG001 - Sentry's signature
    """Return *event* redacted; a global event processor, which does not use *hint*."""
    return redact_value(event, _DEPTH)


def check() -> bool:
    """Write an envelope with a random canary in every place into a private buffer."""
    import json

    from sentry_sdk.envelope import Envelope, Item, PayloadRef

    from safetwilio.redaction.sinks import canary

    secret = canary()
    event = Item(PayloadRef(json={"message": f'"{secret}\n'}), type="event")
    attached = Item(secret.encode(), headers={"filename": secret}, type="attachment")
    buffer = io.BytesIO()
    Envelope(headers={"trace": {"transaction": secret}}, items=[event, attached]).serialize_into(
        buffer
    )
    parts = list(_parse(buffer.getvalue()))
    return (
        all(patch.is_applied for patch in _patches)
        and _shows_no_transaction(secret)
        and secret.encode() not in buffer.getvalue()
        and buffer.getvalue().count(b"[TWILIO:account:") == 4  # noqa: PLR2004 - as above
        and json.loads(parts[1][1] or b"")["message"].endswith("]\n")
        and len(parts) == 1 + 2
    )


def _shows_no_transaction(secret: str) -> bool:
    from sentry_sdk.tracing_utils import Baggage

    header = Baggage({"transaction": f"/{secret}"}).serialize()
    return secret not in header and "%5BTWILIO%3Aaccount%3A" in header


def _baggage(original: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    """Write the header with masks as its grammar wants them: percent-encoded."""
    from urllib.parse import quote

    text = original(*args, **kwargs)
    cleaned = redact(text)
    return text if cleaned is text else _MASK.sub(lambda mask: quote(mask[0], safe=""), cleaned)


def _serialize_into(original: Callable[..., None], envelope: Any, f: Any) -> None:
    buffer = io.BytesIO()
    original(envelope, buffer)
    data = buffer.getvalue()
    unknown = _without_known_payload(envelope, data)
    if _cleaned(unknown) is not unknown:
        data = b"".join(_rewrite(data))
    f.write(data)


def _without_known_payload(envelope: Any, data: bytes) -> bytes:
    """Return the serialized *envelope* without its last payload, if that was found clean before.

    A payload is known by being the same object: as the end of another it could hold a secret.
    """
    known = current().known.payload
    if not envelope.items or envelope.items[-1].get_bytes() is not known:
        return data
    return data.removesuffix(known + b"\n")


def _cleaned(payload: bytes) -> bytes:
    return redact_bytes(hide_signatures(payload))


def _rewrite(data: bytes) -> Iterator[bytes]:
    """Yield the serialized envelope *data* redacted, with the length of every item made right."""
    import json

    for header, payload in _parse(data):
        cleaned = redact_bytes(header)
        if payload is None:
            yield cleaned + b"\n"
            continue
        body = _cleaned(payload)
        fields = {**json.loads(cleaned), "length": len(body)}
        yield json.dumps(fields).encode() + b"\n" + body + b"\n"


def _parse(data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the envelope's header (with ``None``), then header and payload of each item."""
    import json

    stream = io.BytesIO(data)
    yield stream.readline().rstrip(b"\n"), None
    while header := stream.readline().rstrip(b"\n"):
        yield header, stream.read(json.loads(header)["length"])
        stream.readline()


def _make_transport(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    transport = original(*args, **kwargs)
    _shadow(transport)
    return transport


def _shadow(transport: Any) -> None:
    """Give *transport* redacted copies, unless it is one of the SDK's, which serialize them."""
    kind = type(transport)
    if transport is None or transport in _shadowed:
        return
    if kind.__module__ == "sentry_sdk.transport" and "Http" in kind.__name__:
        return
    capture = transport.capture_envelope
    transport.capture_envelope = lambda envelope: capture(_redacted(envelope))
    _shadowed.add(transport)


def _redacted(envelope: Any) -> Any:
    """Return *envelope*, or a redacted copy when it holds a secret."""
    import json

    from sentry_sdk.envelope import Envelope, Item, PayloadRef

    known = current().known
    items = []
    for item in envelope.items:
        payload = item.get_bytes()
        cleaned, headers = _cleaned(payload), _redacted_headers(item.headers)
        if cleaned is payload and headers is item.headers:
            items.append(item)
            if len(payload) <= _LONGEST_KEPT:  # which the transport may serialize now
                known.payload = payload
        elif item.payload.json is None:
            items.append(Item(cleaned, headers=headers))
        else:
            items.append(Item(PayloadRef(json=json.loads(cleaned)), headers=headers))
    headers = _redacted_headers(envelope.headers)
    if headers is envelope.headers and all(
        a is b for a, b in zip(items, envelope.items, strict=True)
    ):
        return envelope
    return Envelope(headers=headers, items=items)


def _redacted_headers(headers: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", redact_value(headers, _DEPTH))
