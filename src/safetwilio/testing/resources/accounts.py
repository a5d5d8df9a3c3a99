"""``/2010-04-01/Accounts``: the account and its subaccounts.

OpenAPI: ``twilio_api_v2010.json``, FetchAccount, ListAccount, CreateAccount, UpdateAccount.
Fetch and list show ``auth_token`` in clear (facts: twilio.md, section 2) to the holder of a token;
an API key never sees a subaccount's (facts: section 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from safetwilio.testing.answers import Answer, bad_parameter, rfc2822
from safetwilio.testing.assumptions import credentials as assumed
from safetwilio.testing.identity import Area
from safetwilio.testing.paging import page
from safetwilio.testing.route import V2010, Route
from safetwilio.testing.state import Account, AccountStatus

if TYPE_CHECKING:
    from safetwilio.testing.call import Call

LONGEST_NAME = 64  # OpenAPI: friendly_name, up to 64 characters long


def fetch(call: Call) -> Answer:
    """Answer with the account."""
    return Answer(200, _show(call, call.account))


def list_all(call: Call) -> Answer:
    """Answer with the caller's account and its subaccounts, filtered by name and status."""
    query = call.query
    own = call.caller.account

    def wanted(account: Account) -> bool:
        return (
            own in (account, account.parent)
            and query.get("FriendlyName", account.friendly_name) == account.friendly_name
            and query.get("Status", account.status) == account.status
        )

    return page(call, "accounts", call.world.accounts, lambda each: _show(call, each), wanted)


def create(call: Call) -> Answer:
    """Create a subaccount of the caller's account."""
    if call.account.parent is not None:
        raise bad_parameter("AccountSid", "a subaccount cannot have subaccounts")
    now = call.world.now()
    name = _name(call) or f"SubAccount Created at {now:%Y-%m-%d %I:%M %p}"  # OpenAPI: the default
    account = call.world.create_account(parent=call.account, test=False, friendly_name=name)
    return Answer(201, _show(call, account))


def update(call: Call) -> Answer:
    """Rename, suspend, reactivate or close the account; ``closed`` is for ever (facts: 6)."""
    account, status = call.account, call.get("Status")
    if call.has("FriendlyName"):
        account.friendly_name = _name(call)
    if status:
        if status not in get_args(AccountStatus):
            raise bad_parameter("Status", f"one of {', '.join(get_args(AccountStatus))}")
        if account.status == "closed":
            raise bad_parameter("Status", "a closed account stays closed")
        if account.parent is None and not call.assumed(assumed.SUSPEND_MAIN_ACCOUNT):
            raise bad_parameter("Status", "can be changed for subaccounts only")
        account.status = status  # type: ignore[assignment]  # checked above
    account.updated = call.world.now()
    return Answer(200, _show(call, account))


def _name(call: Call) -> str:
    name = call.get("FriendlyName")
    if len(name) > LONGEST_NAME:
        raise bad_parameter("FriendlyName", f"longer than {LONGEST_NAME} characters")
    return name


def _show(call: Call, account: Account) -> dict[str, Any]:
    own = account is call.caller.account
    shown = call.caller.key is None or (
        own and bool(call.assumed(assumed.MAIN_KEY_REVEALS_OWN_TOKEN))
    )
    base = f"/2010-04-01/Accounts/{account.sid}"
    return {
        "sid": account.sid,
        "owner_account_sid": account.parent.sid if account.parent else account.sid,
        "friendly_name": account.friendly_name,
        "status": account.status,
        "type": "Full",
        "auth_token": account.auth_token if shown else None,
        "date_created": rfc2822(account.created),
        "date_updated": rfc2822(account.updated),
        "uri": f"{base}.json",
        # the real map names every resource; this one names those that are served here
        "subresource_uris": {"keys": f"{base}/Keys.json", "messages": f"{base}/Messages.json"},
    }


_IAM = "/twilio/iam/accounts"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", f"{V2010}.json", list_all, Area.ACCOUNTS, f"{_IAM}/list"),
    Route("api", "POST", f"{V2010}.json", create, Area.ACCOUNTS, event="account.created"),
    Route("api", "GET", f"{V2010}/{{Sid}}.json", fetch, Area.ACCOUNTS, f"{_IAM}/read"),
    Route("api", "POST", f"{V2010}/{{Sid}}.json", update, Area.ACCOUNTS, event="account.updated"),
)
