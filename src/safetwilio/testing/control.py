"""The emulator's own HTTP interface, below ``/_emulator/``, for tests in other languages.

It answers only who sends ``Safetwilio-Emulator: control`` to the very address, 127.0.0.1 and the
port: a web page can neither send that header nor, by a name that leads here, that ``Host``. The
answers hold no secret. These requests are not in the journal, and no fault happens to them.

GET    /_emulator/outbox     the messages sent, the oldest first
GET    /_emulator/requests   the requests that came
POST   /_emulator/advance    {"seconds": 60}: put the clock forward
POST   /_emulator/faults     {"faults": [{"kind": …}]}: add these (``safetwilio.testing.scripts``)
DELETE /_emulator/faults     forget those that have not happened yet
POST   /_emulator/reset      back to the start, with the same credentials
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from safetwilio.errors import UsageError
from safetwilio.testing import scripts
from safetwilio.testing.connection import HOST
from safetwilio.testing.exchange import EmulatedResponse

if TYPE_CHECKING:
    from safetwilio.testing.emulator import Emulator
    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.server import EmulatorServer

PREFIX = "/_emulator/"
HEADER, WORD = "Safetwilio-Emulator", "control"

_Handler = Callable[["EmulatorServer", "EmulatedRequest"], dict[str, Any]]


def answer(server: EmulatorServer, request: EmulatedRequest) -> EmulatedResponse:
    """Do what *request* asks of the emulator of *server*, or say why not."""
    if not _is_from_here(server, request):
        return _write(HTTPStatus.FORBIDDEN, {"error": f"send {HEADER}: {WORD} to {server.url}"})
    found = {method: do for (method, path), do in _DO.items() if path == request.path}
    if not found:
        known = ", ".join(f"{method} {path}" for method, path in _DO)
        return _write(HTTPStatus.NOT_FOUND, {"error": f"there are {known}"})
    if request.method not in found:
        error = f"{request.path} takes {', '.join(found)}"
        return _write(HTTPStatus.METHOD_NOT_ALLOWED, {"error": error})
    try:
        document = found[request.method](server, request)
    except UsageError as error:
        return _write(HTTPStatus.BAD_REQUEST, {"error": str(error)})
    return _write(HTTPStatus.OK, _without_secrets(server.emulator, document))


def _is_from_here(server: EmulatorServer, request: EmulatedRequest) -> bool:
    return (
        request.host == f"{HOST}:{server.port}"
        and request.headers.get(HEADER.lower()) == WORD
        and "origin" not in request.headers
    )


def _outbox(server: EmulatorServer, _: EmulatedRequest) -> dict[str, Any]:
    messages = [
        {
            "sid": message.sid,
            "account_sid": message.account_sid,
            "key_sid": message.key_sid,
            "to": message.to,
            "from": message.from_,
            "body": message.body,
            "media_urls": list(message.media_urls),
            "messaging_service_sid": message.messaging_service_sid,
            "at": message.created.isoformat(),
        }
        for message in server.emulator.messages
    ]
    return {"messages": messages}


def _requests(server: EmulatorServer, _: EmulatedRequest) -> dict[str, Any]:
    requests = [
        {
            "method": entry.method,
            "host": entry.host,
            "path": entry.path,
            "query": [list(pair) for pair in entry.query],
            "username": entry.username,
            "at": entry.at.isoformat(),
            "status": entry.status,
        }
        for entry in server.emulator.requests
    ]
    return {"requests": requests}


def _advance(server: EmulatorServer, request: EmulatedRequest) -> dict[str, Any]:
    try:
        seconds = json.loads(request.body)["seconds"]
        sound = not isinstance(seconds, bool) and seconds >= 0
        if sound:
            server.emulator.advance(seconds)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        sound = False
    if not sound:
        raise UsageError('advance takes {"seconds": N}, up to the year 9000.', code="ST922")
    return {"now": server.emulator.now().isoformat()}


def _add_faults(server: EmulatorServer, request: EmulatedRequest) -> dict[str, Any]:
    for step in scripts.parse_json(request.body, "the body"):
        step.plan(server.emulator.faults)
    return {"faults": len(server.emulator.faults)}


def _clear_faults(server: EmulatorServer, _: EmulatedRequest) -> dict[str, Any]:
    server.emulator.faults.clear()
    return {"faults": 0}


def _reset(server: EmulatorServer, _: EmulatedRequest) -> dict[str, Any]:
    server.emulator.reset()
    server.prepare(server.emulator)
    return {"now": server.emulator.now().isoformat()}


_DO: dict[tuple[str, str], _Handler] = {
    ("GET", f"{PREFIX}outbox"): _outbox,
    ("GET", f"{PREFIX}requests"): _requests,
    ("POST", f"{PREFIX}advance"): _advance,
    ("POST", f"{PREFIX}faults"): _add_faults,
    ("DELETE", f"{PREFIX}faults"): _clear_faults,
    ("POST", f"{PREFIX}reset"): _reset,
}


def _without_secrets(emulator: Emulator, document: dict[str, Any]) -> dict[str, Any]:
    """Return *document* with the secrets masked that a test may have sent as text."""
    text = json.dumps(document)
    for secret in emulator.secrets():
        text = text.replace(secret, "***")
    return dict(json.loads(text))


def _write(status: HTTPStatus, document: dict[str, Any]) -> EmulatedResponse:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return EmulatedResponse(status, headers, json.dumps(document).encode())
