"""A Django site that gives a signed-in user an access token for calls; the key stays here.

The view is what you need; the settings around it are only those that it needs to run alone.
"""

import os
import secrets

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": os.environ.get("DATABASE", "site.sqlite3"),
            }
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        ROOT_URLCONF=__name__,
        SECRET_KEY=secrets.token_urlsafe(50),
        USE_TZ=True,
    )
    django.setup()

# begin of the view
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST
from twilio.jwt.access_token.grants import VoiceGrant

from safetwilio import access_token


@require_POST
def give_access_token(request: HttpRequest) -> JsonResponse:
    """Give the user a JWT for a quarter of an hour of calls, which no cache may keep."""
    if not request.user.is_authenticated:
        return JsonResponse({"detail": "Sign in first."}, status=401)
    calls = VoiceGrant(outgoing_application_sid=os.environ["TWIML_APP_SID"])
    access = access_token(f"user_{request.user.pk}", calls, ttl=900)
    return JsonResponse(
        {"token": access.jwt(), "expires_at": access.expires_at},
        headers={"Cache-Control": "no-store"},
    )


urlpatterns = [path("access-token", give_access_token)]
# end of the view
