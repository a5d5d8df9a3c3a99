"""What is signed: published examples, and 10,000 requests as Twilio's own validator sees them."""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import pytest
from requests_signed import one, random_form, random_url, signed_headers
from twilio.request_validator import RequestValidator

from safetwilio.errors import SignatureMismatch
from safetwilio.testing import callbacks
from safetwilio.webhooks import canonical
from support import auth_token

# https://www.twilio.com/docs/usage/security, and the tests of Twilio's libraries
PUBLISHED_TOKEN = "12345"
PUBLISHED_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PUBLISHED_FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
PUBLISHED_BODY = b'{"property": "value", "boolean": true}'
PUBLISHED_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123")]
REPEATED += [("Digits", digits) for digits in ("5678", "1234", "1234")]


@pytest.mark.parametrize(
    ("form", "published"),
    [
        (PUBLISHED_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ],
)
def test_the_published_examples(form: Any, published: str) -> None:
    text = PUBLISHED_URL.encode() + canonical.signed_params(form)

    assert canonical.signature(PUBLISHED_TOKEN.encode(), text).decode() == published


def test_the_published_body() -> None:
    assert sha256(PUBLISHED_BODY).hexdigest() == PUBLISHED_HASH
    url = f"{PUBLISHED_URL}&bodySHA256={PUBLISHED_HASH}"
    assert canonical.body_hashes(url) == [PUBLISHED_HASH]
    ours = canonical.signature(PUBLISHED_TOKEN.encode(), url.encode()).decode()
    assert ours == "a9nBmqA0ju/hNViExpshrM61xv4="
    assert RequestValidator(PUBLISHED_TOKEN).validate(url, PUBLISHED_BODY.decode(), ours)


def test_ten_thousand_requests_as_twilios_validator_sees_them() -> None:
    """Right ones and altered ones, with and without the port, GETs and forms."""
    chance = random.Random(20260901)  # noqa: S311 - repeatable
    token = auth_token()
    theirs, ours = RequestValidator(token), one(token)
    accepted = 0
    for _ in range(10_000):
        url, form = random_url(chance), random_form(chance)
        signed = chance.choice([url, *canonical.port_variants(url), random_url(chance)])
        headers = signed_headers(signed, token, form)
        if form and chance.random() < 0.2:
            form[chance.choice(sorted(form))] += "!"
        expected = theirs.validate(url, form, headers["X-Twilio-Signature"])
        try:
            actual: bool = ours.verify(url, params=form, headers=headers)
        except SignatureMismatch:
            actual = False
        assert actual is expected, (url, signed, form)
        accepted += actual
    assert 4_000 < accepted < 8_000


def test_the_same_parameters_in_every_form() -> None:
    from django.conf import settings
    from django.http import QueryDict
    from starlette.datastructures import FormData
    from werkzeug.datastructures import MultiDict

    if not settings.configured:
        settings.configure()
    query = "&".join(f"{name}={value}" for name, value in REPEATED)
    forms: list[Any] = [
        REPEATED,
        iter(REPEATED),
        {"Sid": "CA123", "SidAccount": ("AC123",), "Digits": ["5678", "1234", "1234"]},
        QueryDict(query),
        MultiDict(REPEATED),
        FormData(REPEATED),
    ]

    assert len({canonical.signed_params(form) for form in forms}) == 1


def test_the_emulators_own_callbacks_are_signed_the_same() -> None:
    token = auth_token()
    theirs = callbacks.signature(token, PUBLISHED_URL, PUBLISHED_FORM)

    assert signed_headers(PUBLISHED_URL, token, PUBLISHED_FORM)["X-Twilio-Signature"] == theirs


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://host/x", "https://host:443/x"),
        ("http://host", "http://host:80"),
        ("wss://host/x", "wss://host:443/x"),
        ("https://host:8443/x?u=http://y:1", "https://host/x?u=http://y:1"),
        ("https://host?u=a:1", "https://host:443?u=a:1"),
        ("https://user:pw@host:8443/x", "https://user:pw@host/x"),
        ("https://user:pw@host/x", "https://user:pw@host:443/x"),
        ("https://[::1]:8443/x", "https://[::1]/x"),
        ("https://[::1]/x", "https://[::1]:443/x"),
        ("https://user:p%40w@[::1]:443/x", "https://user:p%40w@[::1]/x"),
    ],
)
def test_ports(url: str, other: str) -> None:
    assert tuple(canonical.port_variants(url)) == (url, other)


@pytest.mark.parametrize(
    "url", ["", "x", "://", "ftp://host/", "https://", "https://h:port/", "https://h:99999/"]
)
def test_what_has_no_other_port(url: str) -> None:
    assert tuple(canonical.port_variants(url)) == (url,)
