"""``monitor.twilio.com/v1/Alerts``: what went wrong, as Twilio's debugger lists it.

OpenAPI: ``twilio_monitor_v1.json``, ListAlert, FetchAlert. Alerts come from callbacks that failed
and from ``account.add_alert``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from safetwilio.testing.answers import Answer, iso8601, not_found
from safetwilio.testing.monitor import Alert
from safetwilio.testing.paging import page
from safetwilio.testing.resources.events import by_date, within
from safetwilio.testing.route import Route

if TYPE_CHECKING:
    from safetwilio.testing.call import Call

KEPT = timedelta(days=30)  # OpenAPI: queries for alerts older than 30 days are not supported


def list_all(call: Call) -> Answer:
    """Answer with the account's alerts, filtered by LogLevel, StartDate and EndDate."""
    level, in_time = call.query.get("LogLevel"), within(call)
    oldest = call.world.now() - KEPT

    def wanted(alert: Alert) -> bool:
        return alert.at >= oldest and in_time(alert.at) and level in (None, alert.level)

    return page(call, "alerts", by_date(call.account.shelf(Alert)), _show, wanted)


def fetch(call: Call) -> Answer:
    """Answer with one alert, which tells more than a list does."""
    alert = call.account.shelf(Alert).get(call.sid)
    if alert is None:
        raise not_found(call.request.path)
    more = {
        "request_variables": alert.request_variables,
        "request_headers": None,
        "response_headers": None,
        "response_body": None,
    }
    return Answer(200, {**_show(alert), **more})


def _show(alert: Alert) -> dict[str, Any]:
    return {
        "sid": alert.sid,
        "account_sid": alert.account_sid,
        "error_code": alert.error_code,
        "log_level": alert.level,
        "alert_text": alert.text,
        "more_info": f"https://www.twilio.com/docs/errors/{alert.error_code}",
        "api_version": "2010-04-01",
        "resource_sid": alert.resource_sid,
        "service_sid": None,
        "request_method": alert.request_method,
        "request_url": alert.request_url,
        "date_generated": iso8601(alert.at),
        "date_created": iso8601(alert.at),
        "date_updated": iso8601(alert.at),
        "url": f"https://monitor.twilio.com/v1/Alerts/{alert.sid}",
    }


_ALERTS = "/twilio/monitor/alerts"  # permissions: facts, twilio.md, section 7

ROUTES = (
    Route("monitor", "GET", "/v1/Alerts", list_all, permission=f"{_ALERTS}/list"),
    Route("monitor", "GET", "/v1/Alerts/{Sid}", fetch, permission=f"{_ALERTS}/read"),
)
