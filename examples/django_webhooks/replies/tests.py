"""Tests sign their requests as Twilio does; they never switch the check off."""

import os
import secrets
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.test import SimpleTestCase

from safetwilio.testing.webhooks import sign_request

FORM = "application/x-www-form-urlencoded"
TOKEN = os.environ["TWILIO_WEBHOOK_AUTH_TOKEN"] = secrets.token_hex(16)


class Replies(SimpleTestCase):
    """What Twilio gets to hear, and others do not."""

    def post(self, path: str, form: dict[str, str], token: str = TOKEN) -> HttpResponse:
        """Post *form* as Twilio would, signed with *token*."""
        signed = sign_request(f"https://example.com{path}", params=form, auth_token=token)
        headers: Any = signed.headers
        return self.client.post(path, urlencode(form), content_type=FORM, headers=headers)

    def test_twilio_gets_an_answer(self) -> None:
        """A text is answered with TwiML."""
        answer = self.post("/sms", {"From": "+15550100", "Body": "Hello"})
        self.assertContains(answer, "You said: Hello")

    def test_a_delivery_is_noted(self) -> None:
        """The async view, under Django's own test client."""
        self.assertEqual(self.post("/delivered", {"MessageStatus": "sent"}).status_code, 204)  # noqa: PT009 - not pytest

    def test_nobody_else_gets_one(self) -> None:
        """A wrong signature gets an empty 403."""
        answer = self.post("/sms", {"Body": "Hello"}, token=secrets.token_hex(16))
        self.assertEqual((answer.status_code, answer.content), (403, b""))  # noqa: PT009 - not pytest
