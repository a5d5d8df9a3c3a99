"""Settings: of Twilio there is no secret in them."""

import os

from django.core.management.utils import get_random_secret_key

INSTALLED_APPS = ["safetwilio.integrations.django", "replies"]
SAFETWILIO = {"WEBHOOKS": {"PUBLIC_URL": "https://example.com"}}

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or get_random_secret_key()
DEBUG = "DJANGO_DEBUG" in os.environ
ALLOWED_HOSTS = ["example.com", "127.0.0.1", "localhost"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "mysite.urls"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
