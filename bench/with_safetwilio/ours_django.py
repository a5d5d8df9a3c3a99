"""The same as ``by_hand_django`` with safetwilio."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["safetwilio.integrations.django"],
    SAFETWILIO={"WEBHOOKS": {"PUBLIC_URL": "https://example.com"}},
)
application = get_wsgi_application()

from safetwilio.integrations.django import twilio_webhook  # noqa: E402 - settings come first


@twilio_webhook
def sms(request: HttpRequest) -> HttpResponse:
    """Answer what Twilio signed."""
    del request
    return HttpResponse("<Response/>", content_type="text/xml")


urlpatterns = [path("sms", sms)]
