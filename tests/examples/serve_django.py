"""Serve examples/access_tokens/django_app.py on a free port, printed first with a session."""

from __future__ import annotations

import json
from wsgiref.simple_server import make_server

import django_app
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
browser = Client()
browser.force_login(User.objects.create_user("ada"))
session = browser.cookies[django_app.settings.SESSION_COOKIE_NAME].value
server = make_server("127.0.0.1", 0, WSGIHandler())
print(json.dumps({"port": server.server_port, "session": session}), flush=True)  # noqa: T201 - for the test
server.serve_forever()
