"""``iam.twilio.com/v1/Keys``: API keys with policies.

OpenAPI: ``twilio_iam_v1.json``, CreateNewKey, ListGetKeys, FetchKey, UpdateKey, DeleteKey. KeyType
is ``restricted`` or absent; an update replaces the whole policy (facts: twilio.md, section 6).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, Refused
from safetwilio.testing.assumptions import credentials as assumed
from safetwilio.testing.identity import Area
from safetwilio.testing.paging import page
from safetwilio.testing.permissions import known_permissions
from safetwilio.testing.resources import keys
from safetwilio.testing.resources.events import of_key
from safetwilio.testing.route import Route

if TYPE_CHECKING:
    from safetwilio.testing.call import Call
    from safetwilio.testing.records import Key

LARGEST_POLICY = 100  # https://www.twilio.com/docs/iam/api-keys/restricted-api-keys

delete = keys.delete


def create(call: Call) -> Answer:
    """Create a Standard key, or a Restricted one with its policy."""
    kind, allow = call.get("KeyType"), _policy(call)
    if kind not in {"", "restricted"}:
        raise Refused(400, 70001, "KeyType can only be restricted")
    if bool(kind) != bool(allow):
        raise Refused(400, 70001, "KeyType restricted and Policy need each other")
    key = call.account.create_key(
        "restricted" if kind else "standard", friendly_name=keys.name_in(call), allow=allow
    )
    return Answer(201, {**_show(key), "secret": key.secret})


def list_all(call: Call) -> Answer:
    """Answer with the account's keys, which tell their flags and not their policies."""
    return page(call, "keys", call.account.keys, _show_flags)


def fetch(call: Call) -> Answer:
    """Answer with one key and its policy."""
    return Answer(200, _show(keys.find(call)))


def update(call: Call) -> Answer:
    """Rename a key or replace its policy."""
    key, allow = keys.find(call), _policy(call)
    restricts = call.assumed(assumed.POLICY_ON_STANDARD_KEY) == "restricts"
    if allow and key.kind != "restricted" and not restricts:
        raise Refused(400, 70001, "only a restricted key has a policy")
    changed = call.account.update_key(key, friendly_name=keys.name_in(call), allow=allow)
    return Answer(200, _show(changed))


def _policy(call: Call) -> list[str]:
    """Return the permissions in the parameter Policy, none if it is absent, or raise 400/70002."""
    if not call.get("Policy"):
        return []
    try:
        policy = json.loads(call.get("Policy"))
        allow = policy["allow"]
        sound = set(policy) == {"allow"} and isinstance(allow, list)
        sound = sound and 1 <= len(allow) <= LARGEST_POLICY
        sound = sound and all(each.startswith("/twilio/") for each in allow)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise Refused(400, 70002, 'Policy is not {"allow": [1 to 100 permissions]}')
    unknown = set(allow) - known_permissions()
    if unknown and call.assumed(assumed.UNKNOWN_PERMISSION) == "refused":
        raise Refused(400, 70002, f"Policy has no known permission called {min(unknown)}")
    return list(allow)


def _show_flags(key: Key) -> dict[str, Any]:
    """Return what a list tells of *key*; a Restricted one signs no access tokens (facts: 6)."""
    signing = [] if key.kind == "restricted" else ["signing"]
    return {**keys.show(key), "flags": ["rest_api", *signing]}


def _show(key: Key) -> dict[str, Any]:
    policy = {"allow": sorted(key.allow)} if key.kind == "restricted" else None
    return {**keys.show(key), "policy": policy}


_ALL, _ONE = "/v1/Keys", "/v1/Keys/{Sid}"
_KEYS = Area.IAM_KEYS

ROUTES = (
    Route("iam", "GET", _ALL, list_all, _KEYS, f"{keys.IAM}/list"),
    Route("iam", "POST", _ALL, create, _KEYS, f"{keys.IAM}/create", event=of_key("created")),
    Route("iam", "GET", _ONE, fetch, _KEYS, f"{keys.IAM}/read"),
    Route("iam", "POST", _ONE, update, _KEYS, f"{keys.IAM}/update", event=of_key("updated")),
    Route("iam", "DELETE", _ONE, delete, _KEYS, f"{keys.IAM}/delete", event=of_key("deleted")),
)
