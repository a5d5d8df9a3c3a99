"""``accounts.twilio.com/v1/AuthTokens``: the secondary Auth Token and its promotion.

OpenAPI: ``twilio_accounts_v1.json``, CreateSecondaryAuthToken, DeleteSecondaryAuthToken,
UpdateAuthTokenPromotion. There is one secondary token, it cannot be read again, and the old
primary one dies at its promotion (facts: twilio.md, section 6).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from safetwilio.testing.answers import Answer, bad_parameter, iso8601, not_found
from safetwilio.testing.assumptions import credentials as assumed
from safetwilio.testing.identity import Area
from safetwilio.testing.records import new_auth_token
from safetwilio.testing.route import Route

if TYPE_CHECKING:
    from safetwilio.testing.call import Call

SECONDARY = "/v1/AuthTokens/Secondary"
PROMOTE = "/v1/AuthTokens/Promote"


def create_secondary(call: Call) -> Answer:
    """Create the secondary token, which authenticates at once."""
    account = call.account
    if account.secondary_auth_token and call.assumed(assumed.SECOND_SECONDARY) == "refused":
        raise bad_parameter("AuthToken", "there is a secondary Auth Token already")
    account.secondary_auth_token = new_auth_token()
    account.secondary_created = call.world.now()
    return Answer(
        201,
        {
            "account_sid": account.sid,
            "secondary_auth_token": account.secondary_auth_token,
            "date_created": iso8601(account.secondary_created),
            "date_updated": iso8601(account.secondary_created),
            "url": f"https://accounts.twilio.com{SECONDARY}",
        },
    )


def delete_secondary(call: Call) -> Answer:
    """Delete the secondary token."""
    _secondary(call)
    call.account.secondary_auth_token = None
    return Answer(204)


def promote(call: Call) -> Answer:
    """Make the secondary token the only one."""
    account = call.account
    account.auth_token, account.secondary_auth_token = _secondary(call), None
    account.updated = call.world.now()
    return Answer(
        200,
        {
            "account_sid": account.sid,
            "auth_token": account.auth_token,
            "date_created": iso8601(account.secondary_created),
            "date_updated": iso8601(account.updated),
            "url": f"https://accounts.twilio.com{PROMOTE}",
        },
    )


def _secondary(call: Call) -> str:
    token = call.account.secondary_auth_token
    if token is not None:
        return token
    if call.assumed(assumed.NO_SECONDARY_STATUS) == HTTPStatus.NOT_FOUND:
        raise not_found(call.request.path)
    raise bad_parameter("AuthToken", "there is no secondary Auth Token")


# events: facts, lockdown.md, section 4
_CREATED, _DELETED, _PROMOTED = (
    f"account-auth-token.{action}"
    for action in ("secondary-created", "secondary-deleted", "promoted")
)

ROUTES = (
    Route("accounts", "POST", SECONDARY, create_secondary, Area.TOKENS, event=_CREATED),
    Route("accounts", "DELETE", SECONDARY, delete_secondary, Area.TOKENS, event=_DELETED),
    Route("accounts", "POST", PROMOTE, promote, Area.TOKENS, event=_PROMOTED),
)
