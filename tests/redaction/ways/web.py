"""Ways out of a web framework."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ways.base import caught, way

if TYPE_CHECKING:
    from collections.abc import Generator

urlpatterns: list[object] = []  # what Django asks this module for


@way("Django: the page and the mail of an error")
def django() -> Generator[str, str, None]:
    from django.conf import settings

    if not settings.configured:
        settings.configure(DEBUG=True, SECRET_KEY=secrets.token_hex(), ROOT_URLCONF=__name__)
    import django as package
    from django.test import RequestFactory
    from django.views.debug import ExceptionReporter

    package.setup(set_prefix=False)
    text = yield ""
    while True:
        error = caught(text)
        request = RequestFactory().get("/", {"text": text}, headers={"x-text": "a"})
        settings.TWILIO = {"nested": [text]}
        reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
        text = yield str(reporter.get_traceback_html()) + str(reporter.get_traceback_text())
