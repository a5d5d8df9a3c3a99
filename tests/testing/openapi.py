"""Twilio's OpenAPI documents, made strict: every property they name is there, and no other."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asking import Ask
from jsonschema import Draft202012Validator, FormatChecker

from safetwilio.testing.emulator import product_of
from safetwilio.testing.routes import ROUTES

if TYPE_CHECKING:
    from safetwilio.testing import Emulator
    from safetwilio.testing.exchange import EmulatedResponse
    from safetwilio.testing.route import Route

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path(
    os.environ.get("SAFETWILIO_TWILIO_OAI") or REPOSITORY.parent / "shared" / "twilio-oai"
)
DOCUMENTS = {
    "api": "twilio_api_v2010.json",
    "accounts": "twilio_accounts_v1.json",
    "iam": "twilio_iam_v1.json",
    "messaging": "twilio_messaging_v1.json",
    "voice": "twilio_voice_v1.json",
    "monitor": "twilio_monitor_v1.json",
}
# where a schema denies what its own description, or each of its examples, has
AMENDED: dict[tuple[str, str], dict[str, Any]] = {
    # "a User ID or an Account SID"; the filter of that name also speaks of API credentials
    ("monitor.v1.event", "actor_sid"): {"pattern": "^(US|AC|SK)[0-9a-fA-F]{32}$"},
    # "an alphanumeric sender ID, a short code, a channel address" too
    ("api.v2010.account.message", "from"): {"format": "sender"},
    # a number; strings in the examples
    ("api.v2010.account.usage.usage_record", "price"): {
        "type": ["number", "string"],
        "nullable": False,
    },
    # "empty for non-recurring triggers"
    ("api.v2010.account.usage.usage_trigger", "recurring"): {
        "type": ["string", "null"],
        "enum": ["daily", "monthly", "yearly", "alltime", None],
    },
}

formats = FormatChecker(formats=())


@formats.checks("date-time-rfc-2822", raises=(ValueError, TypeError))
def is_rfc2822(value: object) -> bool:
    return value is None or str(parsedate_to_datetime(str(value)).tzinfo) == "UTC"


@formats.checks("date-time", raises=ValueError)
def is_iso8601(value: object) -> bool:
    return value is None or datetime.fromisoformat(str(value)).tzinfo is not None


@formats.checks("uri")
def is_uri(value: object) -> bool:
    # the examples have empty ones
    return value in {None, ""} or re.fullmatch(r"(https://[a-z.]+)?/\S+", str(value)) is not None


@formats.checks("uri-map")
def is_uri_map(value: object) -> bool:
    return value is None or all(map(is_uri, dict(value).values()))  # type: ignore[call-overload]


@formats.checks("phone-number")
def is_phone_number(value: object) -> bool:
    # that of a friendly_name is for display, as in the examples
    form = r"\+\d{2,15}|\(\d{3}\) \d{3}-\d{4}"
    return value is None or re.fullmatch(form, str(value)) is not None


@formats.checks("currency")
def is_currency(value: object) -> bool:
    return value is None or re.fullmatch(r"[A-Za-z]{3}", str(value)) is not None


@cache
def document(product: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / DOCUMENTS[product]).read_text(encoding="utf-8"))
    schemas = read["components"]["schemas"]
    for (beginning, field), change in AMENDED.items():
        for schema in (each for name, each in schemas.items() if name.startswith(beginning)):
            if field not in schema.get("properties", {}):
                continue
            kept = schema["properties"][field]
            schema["properties"][field] = {**({} if "$ref" in kept else kept), **change}
    return read


def strict(product: str, node: Any) -> Any:
    """Return the OpenAPI 3.0 schema *node* as a strict JSON Schema, references resolved."""
    if isinstance(node, list):
        return [strict(product, each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return strict(product, document(product)["components"]["schemas"][node["$ref"][21:]])
    schema = {name: strict(product, value) for name, value in node.items()}
    if schema.pop("nullable", False) is True and "type" in schema:
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


def held_against_documents(
    method: str, host: str, path: str, response: EmulatedResponse
) -> Route | None:
    """Return the route that succeeded, ``None`` for a refusal, if *response* is as described."""
    if response.status >= 400:
        ERROR.validate(response.json())
        assert response.json()["status"] == response.status
        return None
    route = next(
        each
        for each in ROUTES
        if (each.product, each.method) == (product_of(host), method)
        and each.pattern.fullmatch(path)
    )
    if not FOLDER.is_dir():
        return route
    check = validator(route, response.status)
    if check is None:
        assert response.body == b""
    else:
        check.validate(response.json())
    return route


class Checked(Ask):
    """Asks, and holds every answer against the documents."""

    def __init__(self, emulator: Emulator) -> None:
        """Ask *emulator*."""
        super().__init__(emulator)
        self.succeeded: set[Route] = set()

    def __call__(self, method: str, path: str, *args: Any, **kwargs: Any) -> EmulatedResponse:
        """Return the answer, which is as described."""
        response = super().__call__(method, path, *args, **kwargs)
        route = held_against_documents(method, self.emulator.requests[-1].host, path, response)
        if route is not None:
            self.succeeded.add(route)
        return response
