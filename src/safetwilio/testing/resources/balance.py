"""``/2010-04-01/Accounts/{AccountSid}/Balance.json``: what is left of ``account.credit``.

OpenAPI: ``twilio_api_v2010.json``, FetchBalance. No permission for it is known (facts: twilio.md,
section 7), so a Restricted key is refused.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from safetwilio.testing.answers import Answer, not_found
from safetwilio.testing.assumptions import usage as assumed
from safetwilio.testing.categories import TOTAL
from safetwilio.testing.resources.usage import everyone_of, plain
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from safetwilio.testing.call import Call


def fetch(call: Call) -> Answer:
    """Answer with the account's credit without what it and its subaccounts have used."""
    account, world = call.account, call.world
    if account.parent is not None:
        if call.assumed(assumed.SUBACCOUNT_BALANCE) == HTTPStatus.NOT_FOUND:
            raise not_found(call.request.path)
        return Answer(200, {"account_sid": account.sid, "balance": None, "currency": None})
    spent = world.ledger.all_time(everyone_of(world, account), TOTAL).price
    balance = plain(account.credit - spent)
    return Answer(200, {"account_sid": account.sid, "balance": balance, "currency": "USD"})


ROUTES = (Route("api", "GET", f"{ACCOUNT}/Balance.json", fetch),)
