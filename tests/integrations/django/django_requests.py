"""Signed requests for views in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.test import AsyncRequestFactory, RequestFactory

from integrations.raw_requests import FORM
from safetwilio.testing.webhooks import sign_request

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGIN = "https://example.com"
PARAMS = {"From": "+15005550006", "Body": "Hello", "Empty": ""}
FACTORIES = {"wsgi": RequestFactory, "asgi": AsyncRequestFactory}


def sent(
    protocol: str, data: str | bytes, kind: str, headers: Mapping[str, str], method: str = "POST"
) -> Any:
    """Return a request to ``/sms`` as a server of *protocol* hands it over."""
    factory: Any = FACTORIES[protocol]()
    # Django 4.2.0 loses the argument headers of the second factory.
    more: dict[str, Any] = {"headers": headers} if protocol == "wsgi" else dict(headers)
    return factory.generic(method, "/sms", data, content_type=kind, **more)


def posted(
    token: str,
    params: dict[str, str] = PARAMS,
    *,
    protocol: str = "wsgi",
    kind: str = FORM,
) -> Any:
    """Return a POST of a form, signed with *token*."""
    signed = sign_request(f"{ORIGIN}/sms", params=params, auth_token=token)
    return sent(protocol, urlencode(params), kind, signed.headers)
