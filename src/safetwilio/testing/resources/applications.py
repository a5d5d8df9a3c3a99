"""``/Applications``: TwiML applications, which say what calls and messages do.

OpenAPI: ``twilio_api_v2010.json``, CreateApplication, ListApplication, FetchApplication,
UpdateApplication, DeleteApplication. The URLs are kept and shown, and never called.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, not_found, rfc2822
from safetwilio.testing.paging import page
from safetwilio.testing.records import new_sid
from safetwilio.testing.resources.settings import (
    API_VERSION,
    METHOD,
    flag,
    name_in,
    read_settings,
    url,
)
from safetwilio.testing.route import ACCOUNT, Route

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from safetwilio.testing.call import Call


@dataclass(frozen=True)
class Application:
    """A TwiML application; *settings* holds the properties that a request set, by name."""

    sid: str
    account_sid: str
    friendly_name: str | None
    created: datetime
    updated: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)


_URLS = (
    *("message_status_callback", "sms_fallback_url", "sms_status_callback", "sms_url"),
    *("status_callback", "voice_fallback_url", "voice_url"),
)
_METHODS = (
    *("sms_fallback_method", "sms_method", "status_callback_method"),
    *("voice_fallback_method", "voice_method"),
)
_FLAGS = ("public_application_connect_enabled", "voice_caller_id_lookup")
_READERS = {
    **dict.fromkeys(_URLS, url),
    **dict.fromkeys(_METHODS, METHOD),
    **dict.fromkeys(_FLAGS, flag),
    "api_version": API_VERSION,
}
_DEFAULTS: dict[str, Any] = {  # OpenAPI: the example of ListApplication
    **dict.fromkeys(_URLS),
    **dict.fromkeys(_METHODS, "POST"),
    **dict.fromkeys(_FLAGS, False),
    "api_version": "2010-04-01",
}


def create(call: Call) -> Answer:
    """Create an application."""
    now = call.world.now()
    application = Application(
        sid=new_sid("AP"),
        account_sid=call.account.sid,
        friendly_name=name_in(call),
        created=now,
        updated=now,
        settings=read_settings(call, _READERS),
    )
    call.account.shelf(Application).put(application.sid, application)
    return Answer(201, _show(application))


def list_all(call: Call) -> Answer:
    """Answer with the account's applications, filtered by FriendlyName."""
    name = call.query.get("FriendlyName")

    def wanted(application: Application) -> bool:
        return application.friendly_name == name

    applications = call.account.shelf(Application)
    return page(call, "applications", applications, _show, wanted if name else None)


def fetch(call: Call) -> Answer:
    """Answer with one application."""
    return Answer(200, _show(_find(call)))


def update(call: Call) -> Answer:
    """Rename an application or set what it does."""
    application = _find(call)
    changed = replace(
        application,
        friendly_name=name_in(call, application.friendly_name),
        settings={**application.settings, **read_settings(call, _READERS)},
        updated=call.world.now(),
    )
    call.account.shelf(Application).put(changed.sid, changed)
    return Answer(200, _show(changed))


def delete(call: Call) -> Answer:
    """Delete an application."""
    call.account.shelf(Application).remove(_find(call).sid)
    return Answer(204)


def _find(call: Call) -> Application:
    application = call.account.shelf(Application).get(call.sid)
    if application is None:
        raise not_found(call.request.path)
    return application


def _show(application: Application) -> dict[str, Any]:
    base = f"/2010-04-01/Accounts/{application.account_sid}/Applications"
    return {
        **_DEFAULTS,
        **application.settings,
        "sid": application.sid,
        "account_sid": application.account_sid,
        "friendly_name": application.friendly_name,
        "date_created": rfc2822(application.created),
        "date_updated": rfc2822(application.updated),
        "uri": f"{base}/{application.sid}.json",
    }


_ALL, _ONE = f"{ACCOUNT}/Applications.json", f"{ACCOUNT}/Applications/{{Sid}}.json"
_APPS = "/twilio/voice/twiml.apps"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("api", "GET", _ALL, list_all, permission=f"{_APPS}/list"),
    Route("api", "POST", _ALL, create, permission=f"{_APPS}/create", event="application.created"),
    Route("api", "GET", _ONE, fetch, permission=f"{_APPS}/read"),
    Route("api", "POST", _ONE, update, permission=f"{_APPS}/update", event="application.updated"),
    Route("api", "DELETE", _ONE, delete, permission=f"{_APPS}/delete", event="application.deleted"),
)
