"""Django without safetwilio: settings, filter and client of ``notifications``, and a validator."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from notifications import client
from twilio.request_validator import RequestValidator

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], TWILIO=client)
validator = RequestValidator(os.environ["TWILIO_WEBHOOK_AUTH_TOKEN"])  # type: ignore[no-untyped-call]


@csrf_exempt  # type: ignore[untyped-decorator]
def sms(request: HttpRequest) -> HttpResponse:
    """Answer what Twilio signed."""
    signature = request.headers.get("X-Twilio-Signature", "")
    url = request.build_absolute_uri()
    if not validator.validate(url, request.POST, signature):  # type: ignore[no-untyped-call]
        return HttpResponseForbidden()
    return HttpResponse("<Response/>", content_type="text/xml")


urlpatterns = [path("sms", sms)]
application = get_wsgi_application()
