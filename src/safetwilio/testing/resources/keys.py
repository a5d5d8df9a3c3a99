"""``/2010-04-01/Accounts/{AccountSid}/Keys``: API keys.

OpenAPI: ``twilio_api_v2010.json``, CreateNewKey, ListKey, FetchKey, UpdateKey, DeleteKey. The
secret is in the answer to the creation and nowhere else. Keys made here are Standard ones: KeyType
and Policy are silently ignored (facts: twilio.md, section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, Refused, not_found, rfc2822
from safetwilio.testing.identity import Area
from safetwilio.testing.paging import page
from safetwilio.testing.resources.events import of_key
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from safetwilio.testing.call import Call
    from safetwilio.testing.records import Key

LONGEST_NAME = 64  # facts: twilio.md, section 5, code 70001


def create(call: Call) -> Answer:
    """Create a Standard key."""
    key = call.account.create_key("standard", friendly_name=name_in(call))
    return Answer(201, {**show(key), "secret": key.secret})


def list_all(call: Call) -> Answer:
    """Answer with the account's keys."""
    return page(call, "keys", call.account.keys, show)


def fetch(call: Call) -> Answer:
    """Answer with one key."""
    return Answer(200, show(find(call)))


def update(call: Call) -> Answer:
    """Rename a key."""
    return Answer(200, show(call.account.update_key(find(call), friendly_name=name_in(call))))


def delete(call: Call) -> Answer:
    """Delete a key; requests with it are refused from now on."""
    call.account.delete_key(find(call).sid)
    return Answer(204)


def find(call: Call) -> Key:
    """Return the key that *call* names, or raise 404."""
    key = call.account.keys.get(call.sid)
    if key is None:
        raise not_found(call.request.path)
    return key


def name_in(call: Call) -> str:
    """Return the name that *call* gives to a key, empty if none, or raise 400/70001."""
    name = call.get("FriendlyName")
    if len(name) > LONGEST_NAME:
        raise Refused(400, 70001, f"FriendlyName is longer than {LONGEST_NAME} characters")
    return name


def show(key: Key) -> dict[str, Any]:
    """Return what both versions of the API tell of *key*; never its secret."""
    return {
        "sid": key.sid,
        "friendly_name": key.friendly_name,
        "date_created": rfc2822(key.created),
        "date_updated": rfc2822(key.updated),
    }


_ALL, _ONE = f"{ACCOUNT}/Keys.json", f"{ACCOUNT}/Keys/{{Sid}}.json"
IAM = "/twilio/iam/api-keys"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", _ALL, list_all, Area.KEYS, f"{IAM}/list"),
    Route("api", "POST", _ALL, create, Area.KEYS, f"{IAM}/create", event=of_key("created")),
    Route("api", "GET", _ONE, fetch, Area.KEYS, f"{IAM}/read"),
    Route("api", "POST", _ONE, update, Area.KEYS, f"{IAM}/update", event=of_key("updated")),
    Route("api", "DELETE", _ONE, delete, Area.KEYS, f"{IAM}/delete", event=of_key("deleted")),
)
