"""Finding secrets in text: the acceptance cases, and what must be left alone."""

from __future__ import annotations

import base64
import collections
import json
import os
import re
import secrets
import shlex
import string
import urllib.parse
import uuid
from typing import NamedTuple

import pytest

from safetwilio import redaction
from safetwilio.redaction import engine
from safetwilio.redaction.engine import FAILED, Matcher, redact, redact_bytes, redact_value

MASK = re.compile(r"\[TWILIO:(account|key|secret|token):([A-Z2-7]{8}|short)\]")


def sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def base62(length: int = 32) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


A, B, C = "a1b2c3d4e5f6g7h8", "i9j0k1l2m3n4o5p6", "q7r8s9t0u1v2w3x4"  # 16, the shortest there is


@pytest.mark.parametrize(
    ("values", "text", "expected"),
    [
        ([A + B, B + C], f"-{A}{B}{C}-", "-<0>-"),  # overlap: one mask for all that is covered
        ([A, B], f"x{A}{B}x", "x<0><1>x"),  # adjacent: nothing between two masks
        ([A + B + C, B], f"x{A}{B}{C}x", "x<0>x"),  # nested: the longest wins
        ([A + B + C, B], f"x{B}x", "x<1>x"),  # and what is there in whole gives the mask
        ([A, A + "y", A + "yz"], f"v{A}yzv", "v<2>v"),  # a tower
        (["aab" * 6], f"a{'aab' * 6} {'aab' * 6}", "a<0> <0>"),  # overlapping its own beginning
        ([A], f"{A}-x-{A}-x-{A}", "<0>-x-<0>-x-<0>"),  # start, middle, end
        ([A, A[8:] + B + C], f"{A}{B}{C}", "<1>"),  # the longest gives the mask
        ([], "abc", "abc"),
    ],
)
def test_overlaps(values: list[str], text: str, expected: str) -> None:
    matcher = Matcher((v, f"<{i}>".encode()) for i, v in enumerate(values))
    assert matcher.redact(text.encode()).decode() == expected
    assert all(v not in repr(matcher) for v in values)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\\n", ""),
        ("\\u00e9", "\\u00e9"),
        ("%3A", "%2F"),
        ("\x1b[31m", "\x1b[0m"),
        ("pre", "suf"),
        ("é", "ß"),
        ("\ud800", "\udfff"),
        ("\r\n", "\r\r\n"),
        ("'", "'"),
        ('"', '"'),
        ("_", "_"),
        ("\0", "\xff"),
        ("https://user:", "@api.twilio.com/2010-04-01"),
        ("<Token>", "</Token>"),
    ],
)
def test_whatever_stands_around_it_a_secret_is_masked(token: str, before: str, after: str) -> None:
    for value in (token, sid("AC"), sid("SK")):
        masked = redact(before + value + after)
        assert masked.startswith(before)
        assert masked.endswith(after)
        assert MASK.fullmatch(masked[len(before) : len(masked) - len(after)])
        raw = (before + value + after).encode("utf-8", "surrogatepass")
        assert redact_bytes(raw).decode("utf-8", "surrogatepass") == masked


def test_two_glued_secrets_are_both_masked(token: str) -> None:
    other = sid("AC")
    masked = redact(f"x{token}{other}{token}y")
    assert MASK.sub("|", masked) == "x|||y"


@pytest.mark.parametrize("url", [False, True])
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_base64_at_all_alignments(before: int, after: int, *, url: bool) -> None:
    value = base62()
    redaction.register(value, "secret")
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    text = encode(b"?>~\xff"[:before] + value.encode() + b"\xff~?>"[:after]).decode()
    masked = redact(text)
    assert MASK.search(masked)
    left = MASK.sub("", masked)
    assert len(left) <= len(text) - 41  # what the value alone decides is gone


def test_basic_credentials_are_masked(token: str) -> None:
    account = sid("AC")
    redaction.register(account, "account")
    text = "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()
    masked = redact(text)
    assert [m[0] for m in MASK.findall(masked)] == ["account", "token"]
    assert len(MASK.sub("", masked)) < len("Basic ") + 8


@pytest.mark.parametrize(
    "value", ["pass wörd with ümlauts!", "a\"b\\c'd/e+f?g&h<i>j", "line\nb" * 4]
)
@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        json.dumps,
        lambda v: json.dumps(v, ensure_ascii=False),
        lambda v: json.dumps(repr(v), ensure_ascii=False),
        lambda v: urllib.parse.quote(v, safe=""),
        urllib.parse.quote_plus,
        lambda v: base64.b64encode(b"x" + v.encode()).decode(),
        lambda v: base64.urlsafe_b64encode(b"?x" + v.encode()).decode(),
    ],
)
def test_values_with_other_characters_are_masked_too(value: str, write: object) -> None:
    redaction.register(value, "secret")
    written = write(value)  # type: ignore[operator]
    masked = redact(f"x {written} y")
    assert "[TWILIO:secret:" in masked
    assert "[TWILIO:secret:" in redact(f"{written}")
    assert written.strip("\"'") not in masked
    assert redact(masked) == masked


def test_a_secret_registered_with_quotes_or_a_line_break_is_masked_without_them() -> None:
    value = base62()
    redaction.register(f'"{value}"\r\n', "secret")
    assert MASK.fullmatch(redact(value))


@pytest.mark.parametrize("write", [repr, json.dumps, shlex.quote, urllib.parse.quote, ascii])
def test_forms_of_a_usual_secret(token: str, write: object) -> None:
    assert token not in redact(write(token))  # type: ignore[operator]


def test_the_case_of_hex_digits_does_not_hide_a_secret(token: str) -> None:
    assert MASK.fullmatch(redact(token.upper()))
    assert MASK.fullmatch(redact("AC" + secrets.token_hex(16).upper()))
    secret = "aZ" + base62(30)
    redaction.register(secret, "secret")
    assert redact(secret.swapcase()) == secret.swapcase()  # another secret altogether


def test_unknown_account_and_key_sids_are_always_masked() -> None:
    account, key = sid("AC"), sid("SK")
    assert redact(f"{account}/{key}") == (
        f"[TWILIO:account:{redaction.fingerprint(account)}]"
        f"/[TWILIO:key:{redaction.fingerprint(key)}]"
    )


def test_what_is_no_secret_stays_the_same_object(token: str) -> None:
    assert token
    for text in (
        "",
        "a line without anything",
        "https://api.twilio.com/2010-04-01/Accounts.json?PageSize=50",
        str(uuid.uuid4()),
        uuid.uuid4().hex,
        secrets.token_hex(16),  # MD5, trace id
        secrets.token_hex(20),  # git
        secrets.token_hex(32),  # SHA-256
        f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
        *(sid(prefix) for prefix in ("SM", "MM", "CA", "PN", "MG", "VA", "RK", "AP")),
        base64.b64encode(os.urandom(9000)).decode(),
        "AC" + "g" * 32,
        "AC" + "0" * 31,
        "ac" + "0" * 32,
    ):
        assert redact(text) is text
        data = text.encode()
        assert redact_bytes(data) is data


def test_json_stays_json(token: str) -> None:
    document = {"a": f"\n{token}", "b": [f'"{token}\\', sid("AC") + "é"], token: 1}
    for ensure_ascii in (True, False):
        masked = redact(json.dumps(document, ensure_ascii=ensure_ascii))
        assert token not in masked
        assert json.loads(masked)["a"].startswith("\n[TWILIO:token:")


def test_it_never_raises_and_never_lets_the_text_through(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def redact(self, data: bytes) -> bytes:
            raise MemoryError(data)

    monkeypatch.setattr(engine, "_current", Broken())
    assert redact("anything") == FAILED
    assert redact_bytes(b"anything") == FAILED.encode()
    assert redact(None) == FAILED  # type: ignore[arg-type]


def test_values_in_containers(token: str) -> None:
    dirty = {"a": [token, (token.encode(), {token})], token: frozenset({token}), "n": 1}
    assert token not in str(redact_value(dirty))
    assert dirty["n"] == 1
    assert token in str(dirty)  # the caller's own is not changed
    clean = {"a": [1, ("b", {"c"})], "d": object(), "e": None}
    assert redact_value(clean) is clean


def test_logs_without_a_secret_stay_as_they_are() -> None:
    """Half a megabyte of what looks most like secrets, beside twenty registered ones."""
    for _ in range(20):
        redaction.register(secrets.token_hex(16), "token")
        redaction.register(base62(), "secret")
    lines = [
        line
        for _ in range(700)
        for line in (
            f"{uuid.uuid4()} {uuid.uuid4().hex} traceparent=00-{uuid.uuid4().hex}-01",
            f"commit {secrets.token_hex(20)} md5 {secrets.token_hex(16)} sid {sid('SM')}",
            f"data:image/png;base64,{base64.b64encode(os.urandom(200)).decode()}",
            os.urandom(32).hex(" ", 2),
            base64.encodebytes(os.urandom(120)).decode(),
            f"/opt/app/site-packages/{base62(14)}/authentication_backends.py:{secrets.randbits(9)}",
        )
    ]
    text = re.sub("AC|SK|SG", "xx", "\n".join(lines))
    assert redact(text) is text


@pytest.mark.parametrize(
    "make",
    [
        lambda _: "AC" * 500_000,  # every "AC" begins what looks like a SID: A and C are hex digits
        lambda v: v[3:14] * 90_000,  # one character less than a fragment
        lambda v: (v[3:15] + " ") * 80_000,
        lambda v: (v[3:9] + "zzzzzz") * 80_000,
        lambda v: v * 30_000,
        lambda _: "auth_token=" * 90_000,
        lambda _: "TWILIO_" * 140_000 + "0" * 32,
        lambda _: "Basic QUM" * 100_000,
        lambda _: ("a" * 64 + "\n") * 15_000,
        lambda _: "SG." * 300_000,
        lambda _: 'body="' * 160_000,
        lambda _: "+1" * 500_000,
    ],
    ids=range(12),
)
@pytest.mark.timeout(60)
def test_a_text_made_to_be_slow_is_not(make: object, token: str) -> None:
    """Each is a megabyte: half a second of work, but hours for a search that is not linear."""
    redaction.choose(mask_phone_numbers=True, drop_bodies=True)
    redact(make(token))  # type: ignore[operator]


def test_a_mask_that_is_not_shown_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    account = sid("AC")
    redaction.register(account, "account")
    monkeypatch.setattr(engine, "fingerprint", None)
    assert MASK.fullmatch(redact(account))


class Pair(NamedTuple):
    """A tuple of its own type."""

    name: str
    value: object


def test_values_in_containers_of_other_types(token: str) -> None:
    shown = redact(token)
    assert redact_value(collections.OrderedDict(a=token)) == {"a": shown}
    assert redact_value(Pair("a", [token])) == ("a", [shown])
    assert redact_value(collections.UserString(token)) == token  # any other object is left alone
    assert redact_value(bytearray(token.encode())) == bytearray(shown.encode())
    clean = [collections.OrderedDict(a=Pair("a", bytearray(b"b"))), 1, None]
    assert redact_value(clean) is clean


def test_what_is_nested_too_deep_is_not_let_through(token: str) -> None:
    value: object = token
    for _ in range(6):
        value = [value]
    assert redact_value(value) == [[[[[[redact(token)]]]]]]
    assert redact_value([value]) == [[[[[[FAILED]]]]]]
    endless: list[object] = []
    endless.append(endless)
    assert FAILED in str(redact_value(endless))
