"""The settings of a small Django project; the environment says what a test changes."""

import json
import logging
import os
import secrets

import django

SAFETWILIO = json.loads(
    os.environ.get("SITE_SAFETWILIO", '{"WEBHOOKS": {"PUBLIC_URL": "https://example.com"}}')
)
DEBUG = "SITE_DEBUG" in os.environ
SECRET_KEY = secrets.token_urlsafe(50)
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = os.environ.get("SITE_URLS", "site_urls")
INSTALLED_APPS = [
    *filter(None, os.environ.get("SITE_APPS", "").split()),
    "safetwilio.integrations.django",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
if django.VERSION >= (5, 1):  # every view wants a login unless it says otherwise
    MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
STATIC_URL, STATIC_ROOT = "static/", "static"
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}
ADMINS = [("Ada", "ada@example.com")] if django.VERSION < (6, 0) else ["ada@example.com"]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = "mails"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "mail": {
            "class": "django.utils.log.AdminEmailHandler",
            "include_html": True,
            "level": "ERROR",
        },
    },
    "root": {"handlers": ["console"], "level": logging.INFO},
    # Instead of Django's own, which mails without HTML.
    "loggers": {
        "django.request": {"handlers": ["console", "mail"], "level": "INFO", "propagate": False}
    },
}
