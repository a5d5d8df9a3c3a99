"""``/Usage/Triggers``: read only, and empty, since none can be made yet.

OpenAPI: ``twilio_api_v2010.json``, ListUsageTrigger. No permission for it is known (facts:
twilio.md, section 7), so a Restricted key is refused and a Standard key is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetwilio.testing.paging import page
from safetwilio.testing.route import ACCOUNT, Route
from safetwilio.testing.state import Shelf

if TYPE_CHECKING:
    from safetwilio.testing.answers import Answer
    from safetwilio.testing.call import Call


def list_triggers(call: Call) -> Answer:
    """Answer with the account's usage triggers."""
    none: Shelf[dict[str, Any]] = Shelf()
    return page(call, "usage_triggers", none, dict)


ROUTES = (Route("api", "GET", f"{ACCOUNT}/Usage/Triggers.json", list_triggers),)
