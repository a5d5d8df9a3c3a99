"""Why a webhook is refused: every usual cause is named, and nothing is quoted."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from requests_signed import FORM, KEY_ID, URL, Secrets, new_secrets, signed_headers

from safetwilio.testing.webhooks import sign_request
from safetwilio.webhooks import Finding, SigningSecrets, explain
from safetwilio.webhooks.explain import diagnose
from safetwilio.webhooks.verify import matches
from support import auth_token, leaks

explain_module = importlib.import_module("safetwilio.webhooks.explain")


@pytest.fixture
def known() -> Secrets:
    return new_secrets()


def words(findings: list[Finding]) -> list[str]:
    return [finding.what for finding in findings]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-Prefix", "/twilio"),
        ("X-Script-Name", "/twilio/"),
        ("X-Original-URI", "/twilio/sms?a=1"),
        ("X-Envoy-Original-Path", "/twilio/sms"),
    ],
)
def test_what_a_proxy_took_from_the_path(known: Secrets, header: str, value: str) -> None:
    headers = signed_headers("https://a.example/twilio/sms?a=1", known.primary, FORM)
    seen = "http://a.example/sms?a=1"
    asked: Any = {"params": FORM, "headers": headers | {header: value}}
    diagnosis = diagnose(seen, **asked, secrets=known.values())

    assert words(diagnosis.findings) == ["scheme", "prefix"]
    assert diagnosis.url == "https://a.example/twilio/sms?a=1"


@pytest.mark.parametrize(
    ("signed", "seen", "expected"),
    [
        ("https://a.example/sms", "https://a.example/sms", []),
        ("https://a.example/sms", "https://a.example:443/sms", []),
        ("https://a.example/sms", "http://a.example/sms", ["scheme"]),
        ("wss://a.example/sms", "ws://a.example/sms", ["scheme"]),
        ("https://a.example/sms/", "https://a.example/sms", ["slash"]),
        ("https://a.example/sms", "https://a.example/sms/", ["slash"]),
        ("https://a.example/sms", "http://a.example/sms/", ["scheme", "slash"]),
        ("https://a.example/sms", "http://10.0.0.7:8000/sms", ["scheme", "host"]),
        ("https://b.example/sms", "https://10.0.0.7:8000/sms", ["host"]),
        ("https://a.example/sms?a=1", "https://a.example/sms", ["nothing-matches"]),
        ("https://a.example/sms", "https://a.example/sms?a=1", ["no-query"]),
        ("https://a.example/s?q=a%20b", "https://a.example/s?q=a+b", ["query"]),
        # facts, section 4
        ("https://a.example/sms/%2Bfoo", "https://a.example/sms/+foo", ["encoded-path"]),
        ("https://a.example/sms/a%2Fb", "https://a.example/sms/a/b", ["encoded-path"]),
        ("https://a.example/sms/x;v=1", "https://a.example/sms/x%3Bv%3D1", ["decoded-path"]),
        ("https://a.example/u/caf%C3%A9", "https://a.example/u/café", ["encoded-path"]),
        ("https://a.example/u/caf%C3%A9/", "http://a.example/u/café", ["scheme", "encoded-path"]),
    ],
)
def test_what_happened_to_the_url(
    known: Secrets, signed: str, seen: str, expected: list[str]
) -> None:
    headers = signed_headers(signed, known.primary, FORM)
    headers |= {"Host": "a.example", "X-Forwarded-Host": "b.example, c.example"}
    found = explain(seen, params=FORM, headers=headers, secrets=known.values())

    assert words(found) == expected
    assert leaks(repr(found), [*known, headers["X-Twilio-Signature"], *FORM.values()]) == []


def test_the_parameters_of_a_get_that_were_given_again(known: Secrets) -> None:
    headers = signed_headers(URL, known.primary)

    found = explain(URL, params={"room": "hall"}, headers=headers, secrets=known.values())
    assert words(found) == ["no-params"]


def test_the_other_token(known: Secrets) -> None:
    headers = signed_headers(URL, known.other)

    assert words(explain(URL, headers=headers, secrets=known.values())) == ["secondary"]
    alone = SigningSecrets((SecretStr(known.primary),))
    assert words(explain(URL, headers=headers, secrets=alone)) == ["nothing-matches"]


def test_bodies(known: Secrets) -> None:
    signed = sign_request(URL, body=b"{}", auth_token=known.primary)
    values = known.values()

    assert explain(signed.url, body=b"{}", headers=signed.headers, secrets=values) == []
    found = explain(signed.url, body=b"{ }", headers=signed.headers, secrets=values)
    assert words(found) == ["wrong-body"]
    bare = signed_headers(URL, known.primary)
    found = explain(URL, body=b"{}", headers=bare, secrets=values)
    assert words(found) == ["no-body-hash"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "unsigned"),
        (None, "malformed"),
        ({"X-Twilio-Webhooks-Signature-Settings": "key=x,algorithm=HMAC_SHA256"}, "unknown-key"),
        ({"X-Twilio-Webhooks-Signature-Settings": f"key={KEY_ID},algorithm=X"}, "algorithm"),
    ],
)
def test_headers_that_say_it_themselves(known: Secrets, headers: Any, expected: str) -> None:
    if headers:
        headers = headers | {"X-Twilio-Signature": "x"}

    assert words(explain(URL, headers=headers, secrets=known.values())) == [expected]


def test_a_shared_key(known: Secrets) -> None:
    headers = sign_request(URL, shared_key=(KEY_ID, known.shared)).headers

    assert explain(URL, headers=headers, secrets=known.values()) == []
    http = URL.replace("https", "http")
    assert words(explain(http, headers=headers, secrets=known.values())) == ["scheme"]


@settings(max_examples=100)
@given(
    url=st.text(max_size=40),
    params=st.none() | st.text() | st.dictionaries(st.text(), st.integers() | st.text()),
    headers=st.dictionaries(st.sampled_from(["X-Twilio-Signature", "Host", "x"]), st.text()),
)
def test_hostile_input_is_a_finding(url: str, params: Any, headers: Any) -> None:
    secrets = SigningSecrets((SecretStr(auth_token()),))

    assert explain(url, params=params, headers=headers, secrets=secrets)


def test_headers_that_name_many_hosts_are_not_all_tried(
    known: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is the product of what is tried; a capture may be hostile."""
    tried = 0

    def counted(*arguments: Any) -> list[bool]:
        nonlocal tried
        tried += 1
        return matches(*arguments)

    monkeypatch.setattr(explain_module, "matches", counted)
    headers = [("X-Twilio-Signature", "a" * 28)]
    for number in range(300):
        headers += [("X-Forwarded-Host", f"h{number}.example"), ("X-Script-Name", f"/{number}")]
    found = explain(URL, params=FORM, headers=headers, secrets=known.values())
    assert words(found) == ["nothing-matches"]
    assert tried < 10_000
