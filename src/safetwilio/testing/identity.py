"""Who is calling, and whether they may.

Source of the rules: facts, twilio.md, sections 5 to 7, and
https://www.twilio.com/docs/api/errors/20003, which names wrong and deleted credentials, suspended
accounts, subaccount credentials on another account, main account keys on subaccounts, and
Standard keys on ``/Accounts`` and ``/Keys``, as causes of one and the same answer.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING

from safetwilio.shapes import ACCOUNT_PREFIX, KEY_PREFIX, is_sid
from safetwilio.testing.answers import Refused, not_authenticated
from safetwilio.testing.assumptions import credentials as assumed
from safetwilio.testing.assumptions import geo
from safetwilio.testing.call import Call, Caller

if TYPE_CHECKING:
    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.state import World


_AUTHENTICATE = 20003


class Area(enum.Enum):
    """What a route touches, which decides what kind of credential it takes."""

    ORDINARY = "what any key may touch, a Restricted one by its policy"
    KEYS = "keys"
    IAM_KEYS = "keys on iam.twilio.com"
    ACCOUNTS = "accounts"
    TOKENS = "tokens"
    GEO = "geo permissions"


# which switch decides on the weakest credential, where no source does
_WEAKEST = {Area.TOKENS: assumed.TOKEN_ROTATION_NEEDS, Area.GEO: geo.GEO_NEEDS}


def basic_pair(request: EmulatedRequest) -> tuple[str, str]:
    """Return the username and password of *request*, empty strings without a readable header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, password


def public_username(request: EmulatedRequest) -> str | None:
    """Return the username of *request* if it is a SID; anything else might be a secret."""
    username, _ = basic_pair(request)
    return username if _is_public(username) else None


def without_secrets(request: EmulatedRequest, text: str) -> str:
    """Return *text* without the credentials of *request* that are no SIDs.

    ``twilio.rest.Client(secret, sid)``, the pair swapped, puts the secret into the path.
    """
    for credential in basic_pair(request):
        if credential and not _is_public(credential):
            text = text.replace(credential, "***")
    return text


def _is_public(credential: str) -> bool:
    return is_sid(credential, ACCOUNT_PREFIX) or is_sid(credential, KEY_PREFIX)


def authenticate(world: World, request: EmulatedRequest) -> Caller:
    """Return whose credentials *request* carries, or raise 401/20003."""
    username, password = basic_pair(request)
    world.in_force.settle()
    account, key = world.in_force.keys.get(username) or (world.accounts.get(username), None)
    if account is None:
        raise not_authenticated()
    accepted = (key.secret,) if key else world.in_force.tokens[account.sid]
    if not any(hmac.compare_digest(password.encode(), each.encode()) for each in accepted):
        raise not_authenticated()
    if world.in_force.statuses[account.sid] != "active":
        raise _suspended(world)
    return Caller(account, key)


def admit(call: Call, area: Area, permission: str | None) -> None:
    """Let *call* pass if its caller may touch *area* of its account, or raise ``Refused``.

    *permission* is what a Restricted key needs; ``None`` means no policy can grant it.
    """
    if not _reaches(call, area):
        raise not_authenticated()
    if call.caller.strength == "restricted":
        allowed = call.caller.key.allow if call.caller.key else frozenset()
        if permission is None or not _permits(allowed, permission):
            raise _lacks_permission(call, area)
    elif not _strong_enough(call, area):
        raise not_authenticated()
    _refuse_if_dormant(call, area)


def refuse_test_credentials(caller: Caller, *, supported: bool) -> None:
    """Raise 403/20008 for test credentials unless the route is *supported* for them.

    https://www.twilio.com/docs/api/errors/20008 and https://www.twilio.com/docs/iam/test-credentials
    ("403 Forbidden"); the wording is in github.com/twilio/twilio-ruby/issues/121.
    """
    if caller.account.test and not supported:
        raise Refused(403, 20008, "Resource not accessible with Test Account Credentials")


def _reaches(call: Call, area: Area) -> bool:
    """Return whether the caller's credentials count for the account the call acts on."""
    caller, account = call.caller, call.account
    if account is caller.account:
        return True
    if account.parent is not caller.account:
        return False
    if area is Area.IAM_KEYS and not call.assumed(assumed.IAM_REACHES_SUBACCOUNTS):
        return False
    if caller.key is None or area is Area.ACCOUNTS:
        return True  # the parent's token acts on its subaccounts' v2010 URLs
    reaches = bool(call.assumed(assumed.MAIN_KEY_REACHES_SUBACCOUNTS))
    return caller.key.kind == "main" and reaches


def _strong_enough(call: Call, area: Area) -> bool:
    strength = call.caller.strength
    if area in _WEAKEST:
        order = ("standard", "main", "token")
        return order.index(strength) >= order.index(str(call.assumed(_WEAKEST[area])))
    return strength != "standard" or area is Area.ORDINARY


def _lacks_permission(call: Call, area: Area) -> Refused:
    """Return 70051; *Authorization Failed* is the title of its page, no answer was published."""
    if area is Area.ACCOUNTS and call.assumed(assumed.RESTRICTED_ON_ACCOUNTS) == _AUTHENTICATE:
        return not_authenticated()
    status = int(call.assumed(assumed.RESTRICTED_DENIED_STATUS))
    return Refused(status, 70051, "Authorization Failed")  # docs/api/errors/70051


def _permits(allowed: frozenset[str], permission: str) -> bool:
    """Return whether *permission* or its ``/*`` form is among *allowed*."""
    return permission in allowed or permission.rpartition("/")[0] + "/*" in allowed


def _refuse_if_dormant(call: Call, area: Area) -> None:
    """Refuse to act below a suspended subaccount; its own resource stays in its parent's reach."""
    status = call.world.in_force.statuses[call.account.sid]
    if status == "active" or area is Area.ACCOUNTS:
        return
    readable = bool(call.assumed(assumed.SUSPENDED_READABLE_BY_PARENT))
    if call.request.method == "POST" or not readable:
        raise _suspended(call.world)


def _suspended(world: World) -> Refused:
    if world.assumptions[assumed.SUSPENDED_STATUS] == HTTPStatus.FORBIDDEN:
        return Refused(403, 20403, "Account is not active")
    return not_authenticated()
