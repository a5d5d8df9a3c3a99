"""Calls of every kind, and Twilio's own client led to a server of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twilio.http.http_client import TwilioHttpClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.rest import Client

CALLS: dict[str, Callable[[Client], object]] = {
    "create": lambda client: client.messages.create(to="+1", body="x"),
    "fetch": lambda client: client.messages("SM1").fetch(),
    "update": lambda client: client.messages("SM1").update(body=""),
    "delete": lambda client: client.messages("SM1").delete(),
    "list": lambda client: client.messages.list(limit=1),
    "stream": lambda client: next(client.messages.stream()),
    "v1 list": lambda client: client.iam.v1.get_api_keys.list(account_sid="AC1"),
    "v1 fetch": lambda client: client.iam.v1.api_key("SK1").fetch(),
}


class Led(TwilioHttpClient):
    """Twilio's own, led to a server of ours."""

    def __init__(self, url: str) -> None:
        """Lead to *url*."""
        super().__init__(timeout=10)
        self.url = url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """Send the request there."""
        path = url.partition("://")[2].partition("/")[2]
        return super().request(method, f"{self.url}/{path}", *args, **kwargs)
