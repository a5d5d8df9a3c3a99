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
import time
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


@pytest.mark.parametrize(
    ("values", "text", "expected"),
    [
        (["bcd", "def"], "abcdefg", "a<bcd>g"),  # overlap: one mask for all that is covered
        (["abc", "def"], "xabcdefx", "x<abc><def>x"),  # adjacent: nothing between two masks
        (["abcd", "bc"], "xabcdx", "x<abcd>x"),  # nested: the longest wins
        (["wx", "wxy", "wxyz"], "vwxyzv", "v<wxyz>v"),  # a tower
        (["aab"], "aaab aabaab", "a<aab> <aab><aab>"),  # overlapping its own beginning
        (["aba"], "xababax", "x<aba>x"),  # overlapping itself
        (["ab"], "ab-x-ab-x-ab", "<ab>-x-<ab>-x-<ab>"),  # start, middle, end
        (["ab", "bcde"], "abcde", "<bcde>"),  # the longest gives the mask
        ([], "abc", "abc"),
    ],
)
def test_overlaps(values: list[str], text: str, expected: str) -> None:
    matcher = Matcher((v, f"<{v}>".encode()) for v in values)
    assert matcher.redact(text.encode()).decode() == expected
    assert all(v not in repr(matcher) for v in values if len(v) > 1)


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


def test_a_text_made_to_be_slow_is_not() -> None:
    """Every "AC" in it begins what looks like a SID, for A and C are hex digits."""
    began = time.process_time()
    assert MASK.fullmatch(redact("AC" * 500_000))
    assert time.process_time() - began < 3  # a tenth of a second on a quiet machine; once 8


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
