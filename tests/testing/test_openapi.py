"""Every answer of every route is what Twilio's OpenAPI documents describe, under every choice.

The documents' schemas are made strict here: every property they name is there, and no other.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asking import RECIPIENT, SENDER, Ask, pair_of, paths, token_of
from jsonschema import Draft202012Validator, FormatChecker

from safetwilio.testing import Emulator
from safetwilio.testing.assumptions import every_choice
from safetwilio.testing.emulator import product_of
from safetwilio.testing.routes import ROUTES, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SAFETWILIO_TWILIO_OAI", REPOSITORY.parent / "shared" / "twilio-oai"))
DOCUMENTS = {
    "api": "twilio_api_v2010.json",
    "accounts": "twilio_accounts_v1.json",
    "iam": "twilio_iam_v1.json",
}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no OpenAPI documents in {FOLDER}; set SAFETWILIO_TWILIO_OAI to twilio-oai's spec/json",
)

formats = FormatChecker(formats=())


@formats.checks("date-time-rfc-2822", raises=(ValueError, TypeError))
def is_rfc2822(value: object) -> bool:
    return value is None or str(parsedate_to_datetime(str(value)).tzinfo) == "UTC"


@formats.checks("date-time", raises=ValueError)
def is_iso8601(value: object) -> bool:
    return value is None or datetime.fromisoformat(str(value)).tzinfo is not None


@formats.checks("uri")
def is_uri(value: object) -> bool:
    return value is None or re.fullmatch(r"(https://[a-z.]+)?/\S+", str(value)) is not None


@formats.checks("uri-map")
def is_uri_map(value: object) -> bool:
    return value is None or all(map(is_uri, dict(value).values()))  # type: ignore[call-overload]


@formats.checks("phone-number")
def is_phone_number(value: object) -> bool:
    return value is None or re.fullmatch(r"\+\d{2,15}", str(value)) is not None


@formats.checks("currency")
def is_currency(value: object) -> bool:
    return value is None or re.fullmatch(r"[A-Za-z]{3}", str(value)) is not None


@cache
def document(product: str) -> dict[str, Any]:
    return json.loads((FOLDER / DOCUMENTS[product]).read_text(encoding="utf-8"))


def strict(product: str, node: Any) -> Any:
    """Return the OpenAPI 3.0 schema *node* as a strict JSON Schema, references resolved."""
    if isinstance(node, list):
        return [strict(product, each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return strict(product, document(product)["components"]["schemas"][node["$ref"][21:]])
    schema = {name: strict(product, value) for name, value in node.items()}
    if schema.pop("nullable", False) is True:
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("properties"), dict) and "object" in schema.get("type", ()):
        schema |= {"required": list(schema["properties"]), "additionalProperties": False}
    return schema


@cache
def operation(route: Route) -> dict[str, Any]:
    return document(route.product)["paths"][route.path][route.method.lower()]


@cache
def validator(route: Route, status: int) -> Draft202012Validator | None:
    """Return what checks the body of *status*, ``None`` for no body; KeyError: no such status."""
    content = operation(route)["responses"][str(status)].get("content")
    if content is None:
        return None
    schema = strict(route.product, content["application/json"]["schema"])
    return Draft202012Validator(schema, format_checker=formats)


ERROR = Draft202012Validator(
    {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string", "minLength": 1},
            "more_info": {"pattern": r"^https://www\.twilio\.com/docs/errors/\d+$"},
            "status": {"type": "integer", "minimum": 400},
        },
        "required": ["code", "message", "more_info", "status"],
        "additionalProperties": False,
    }
)


class Checked(Ask):
    """Asks, and holds every answer against the documents."""

    def __init__(self, emulator: Emulator) -> None:
        """Ask *emulator*."""
        super().__init__(emulator)
        self.succeeded: set[Route] = set()

    def __call__(self, method: str, path: str, *args: Any, **kwargs: Any) -> EmulatedResponse:
        """Return the answer, which is as described."""
        response = super().__call__(method, path, *args, **kwargs)
        if response.status >= 400:
            ERROR.validate(response.json())
            assert response.json()["status"] == response.status
            return response
        host = self.emulator.requests[-1].host
        route = next(
            each
            for each in ROUTES
            if (each.product, each.method) == (product_of(host), method)
            and each.pattern.fullmatch(path)
        )
        check = validator(route, response.status)
        if check is None:
            assert response.body == b""
        else:
            check.validate(response.json())
        self.succeeded.add(route)
        return response


def everything(ask: Ask) -> Iterator[EmulatedResponse]:
    """Walk through every route, with each kind of document that it answers with."""
    emulator = ask.emulator
    at, token = paths(emulator.account), token_of(emulator.account)
    main, key = pair_of(emulator.main_key), pair_of(emulator.standard_key)
    accounts = "/2010-04-01/Accounts.json"
    message = {"To": RECIPIENT, "From": SENDER, "Body": "hi"}
    service = {"To": RECIPIENT, "MessagingServiceSid": "MG" + 32 * "a", "Body": "later"}
    soon = emulator.now() + timedelta(hours=1)
    when = {"ScheduleType": "fixed", "SendAt": f"{soon:%Y-%m-%dT%H:%M:%SZ}"}
    media = ["https://example.com/a.png"]
    for form in (message, service, {**message, "MediaUrl": media}, {**service, **when}):
        yield ask("POST", at["messages"], key, **form)
    for _ in range(4):
        yield ask("GET", at["messages"], key, query=(("PageSize", "1"),))
        emulator.advance(61)
    sid = emulator.messages[0].sid
    yield ask("GET", at["message"].format(sid), key)
    yield ask("POST", at["message"].format(sid), key, Body="")
    yield ask("POST", at["message"].format(sid), key, Status="canceled")
    yield ask("DELETE", at["message"].format(sid), key)
    yield ask("DELETE", at["message"].format(sid), key)
    yield (created := ask("POST", at["keys"], main, FriendlyName="web"))
    path = at["key"].format(created.json()["sid"])
    yield ask("GET", at["keys"], main)
    yield ask("GET", path, main)
    yield ask("POST", path, token, FriendlyName="worker")
    yield ask("DELETE", path, token)
    owner = {"AccountSid": emulator.account.sid}
    allow = ["/twilio/messaging/messages/create", "/twilio/iam/api-keys/read"]
    policy = json.dumps({"allow": allow})
    yield ask("POST", "/v1/Keys", token, **owner)
    yield (created := ask("POST", "/v1/Keys", token, **owner, KeyType="restricted", Policy=policy))
    restricted = f"/v1/Keys/{created.json()['sid']}"
    for size in ("1", "50"):
        yield ask("GET", "/v1/Keys", token, query=(*owner.items(), ("PageSize", size)))
    for standard in (restricted, f"/v1/Keys/{key[0]}"):
        yield ask("GET", standard, main)
        yield ask("POST", standard, main, FriendlyName="b", Policy=policy)
    yield ask("GET", restricted, (created.json()["sid"], created.json()["secret"]))
    yield ask("DELETE", restricted, main)
    yield (child := ask("POST", accounts, token))
    child_path = f"/2010-04-01/Accounts/{child.json()['sid']}.json"
    for credentials in (token, main, key, None):
        yield ask("GET", accounts, credentials)
        yield ask("GET", child_path, credentials)
        yield ask("POST", child_path, credentials, Status="suspended")
    triggers = at["messages"].replace("Messages", "Usage/Triggers")
    for credentials in (token, main, key, None):
        yield ask("GET", triggers, credentials)
    yield ask("POST", "/v1/AuthTokens/Secondary", token)
    yield ask("DELETE", "/v1/AuthTokens/Secondary", token)
    yield ask("POST", "/v1/AuthTokens/Secondary", token)
    yield ask("POST", "/v1/AuthTokens/Promote", token)
    yield ask("POST", "/v1/AuthTokens/Promote", token)


@pytest.mark.parametrize("overrides", every_choice(), ids=str)
def test_every_answer_of_every_route(overrides: dict[str, Any]) -> None:
    ask = Checked(Emulator(assumptions=overrides))
    for response in everything(ask):
        assert response.headers["Twilio-Request-Id"].startswith("RQ")
        kind = "application/json" if response.body else None
        assert response.headers.get("Content-Type") == kind
    assert ask.succeeded == set(ROUTES)


def test_the_check_would_notice() -> None:
    """A field too few, one too many, or one of another form does not pass."""
    emulator = Emulator()
    path, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    body = Ask(emulator)("POST", path, key, To=RECIPIENT, From=SENDER, Body="hi").json()
    create = [each for each in ROUTES if each.path.endswith("Messages.json")][1]
    check = validator(create, 201)
    assert check
    assert check.is_valid(body)
    for change in ({"extra": 1}, {"date_created": "2026-01-01"}, {"status": "done"}, {"to": 1}):
        assert not check.is_valid({**body, **change})
    del body["num_media"]
    assert not check.is_valid(body)
