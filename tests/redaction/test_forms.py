"""Every form, every fragment, and what is secret by its shape or its surroundings."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import secrets
import shlex
import textwrap
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safetwilio import redaction
from safetwilio.redaction.engine import Matcher, mask, redact, redact_bytes
from safetwilio.redaction.registry import registry
from support import account_sid, auth_token, key_secret, key_sid

if TYPE_CHECKING:
    from collections.abc import Callable

SHOWN = re.compile(rb"\[TWILIO:[a-z]+:[0-9A-Za-z]+\]")
B64 = base64.b64encode
FRAGMENTED: dict[str, Callable[[str], str]] = {
    "raw": str,
    "base64": lambda v: B64(v.encode()).decode(),
    "base64, shifted": lambda v: B64(b"?" + v.encode() + b">>").decode(),
    "base64 of URLs": lambda v: base64.urlsafe_b64encode(b"\xff\xfe" + v.encode()).decode(),
    "a pair in base64": lambda v: B64(f"{account_sid()}:{v}".encode()).decode(),
}
WHOLE: dict[str, Callable[[str], str]] = FRAGMENTED | {
    "JSON": json.dumps,
    "URL": lambda v: urllib.parse.quote(v, safe=""),
    "query": lambda v: urllib.parse.urlencode({"a": v}),
    "repr": repr,
    "HTML": html.escape,
    "shell": shlex.quote,
    "hex": lambda v: v.encode().hex(),
    "HEX": lambda v: v.encode().hex().upper(),
    "MIME": lambda v: base64.encodebytes(b"x" * 40 + v.encode() + b"y" * 40).decode(),
    "MIME, CRLF": lambda v: (
        base64.encodebytes(b"x" * 33 + v.encode() + b"y" * 40).decode().replace("\n", "\r\n")
    ),
    "PEM": lambda v: "\n".join(textwrap.wrap(B64(b"x" * 35 + v.encode() + b"y" * 30).decode(), 64)),
    "PEM in JSON": lambda v: json.dumps(
        "\r\n".join(textwrap.wrap(B64(b"x" * 35 + v.encode() + b"y" * 30).decode(), 64))
    ),
}
VALUES = {
    "token": auth_token(),
    "secret": key_secret(),
    "the shortest": key_secret(16),
    "a password": "pass wörd <with> \"quotes\" & 'more'",
}


def only(value: str) -> Matcher:
    return Matcher([(value, mask("secret", "short"))])


def windows(text: str, size: int = 12) -> set[bytes]:
    data = text.encode("utf-8", "surrogatepass")
    return {data[at : at + size] for at in range(len(data) - size + 1)}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("write", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("x\n", "\n"), ("u00e9", "%2F"), ("é", "ß")]
)
def test_every_form_of_a_value_is_hidden(
    value: str, write: Callable[[str], str], before: str, after: str
) -> None:
    text = write(value)
    masked = only(value).redact(f"{before}{text}{after}".encode())
    assert SHOWN.search(masked)
    left = SHOWN.sub(b"", masked).decode()
    assert not windows(left) & windows(value)
    assert base64_windows(value).isdisjoint(windows(left.replace("\r", "").replace("\n", "")))
    assert only(value).redact(masked) == masked


def base64_windows(value: str) -> set[bytes]:
    raw = value.encode()
    found: set[bytes] = set()
    for shift in range(3):
        core = B64(b"\0" * shift + raw).decode().rstrip("=")
        found |= windows(core[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6])
    return found


@pytest.mark.parametrize("write", FRAGMENTED.values(), ids=FRAGMENTED)
def test_every_fragment_of_12_characters_is_hidden_and_none_of_11(
    write: Callable[[str], str],
) -> None:
    value = key_secret()
    matcher, whole = only(value), write("\0").encode()
    text = write(value)
    masked = matcher.redact(text.encode())
    begin, end = masked.index(b"["), len(text) - (len(masked) - masked.index(b"]") - 1)
    assert end - begin >= 32
    for at in range(begin, end - 11):
        assert SHOWN.fullmatch(matcher.redact(text[at : at + 12].encode())), (at, whole)
        assert not SHOWN.search(matcher.redact(text[at : at + 11].encode()))


@settings(deadline=None)
@given(
    value=st.text(st.characters(exclude_characters="[]"), min_size=16, max_size=40)
    | st.sampled_from(list(VALUES.values())),
    write=st.sampled_from(list(WHOLE.values())),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
@example(value="0" * 16, write=str, before="0", after="0")
def test_any_value_in_any_form_at_any_place(
    value: str, write: Callable[[str], str], before: str, after: str
) -> None:
    matcher = only(value) if encodable(value) else Matcher()
    data = f"{before}{write(value) if encodable(value) else value}{after}".encode(
        "utf-8", "surrogatepass"
    )
    masked = matcher.redact(data)
    assert matcher.redact(masked) == masked
    if encodable(value):
        assert SHOWN.search(masked)
        assert not windows(value) & {masked[i : i + 12] for i in range(len(masked) - 11)}
    masked.decode("utf-8", "surrogatepass")


def encodable(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


@settings(deadline=None)
@given(data=st.binary(max_size=400), seed=st.integers(0, 2**32))
def test_the_length_of_binary_data_stays(data: bytes, seed: int) -> None:
    value = "".join(random.Random(seed).choices("abcdefghijklmnop", k=20))  # noqa: S311
    whole = data + value.encode() + data[:9] + value[:13].encode() + data
    masked = only(value).redact(whole, same_length=True)
    assert len(masked) == len(whole)
    assert not windows(value) & {masked[i : i + 12] for i in range(len(masked) - 11)}
    assert only(value).redact(masked, same_length=True) == masked


def test_same_length_masks_can_still_be_told(token: str) -> None:
    label = f"[TWILIO:token:{redaction.fingerprint(token)}]".encode()
    assert redact_bytes(token.encode(), same_length=True) == label.ljust(32, b"*")
    assert redact_bytes(b"\0" + token[:12].encode(), same_length=True) == b"\0" + b"*" * 12


@pytest.mark.parametrize(
    "text",
    [
        "auth_token={}", '"authToken": "{}"', "'auth_token': '{}'", "TWILIO_AUTH_TOKEN={}",
        "TWILIO_AUTH_TOKEN: {}", "AuthToken%3D{}", "&AuthToken={}&", "<AuthToken>{}</AuthToken>",
        "auth_token=SecretStr('{}')", "'auth_token': b'{}'", "--auth-token {}", "TWILIO_TOKEN={}",
        '\\"auth_token\\": \\"{}\\"', "export TWILIO_MARKETING_AUTH_TOKEN='{}'",
        "https://AC" + "0a" * 16 + ":{}@api.twilio.com/", "AC" + "0a" * 16 + "%3A{}",
    ],
)  # fmt: skip
def test_an_unregistered_token_next_to_its_name_is_hidden(text: str) -> None:
    token = auth_token()
    masked = redact(text.format(token))
    assert f"[TWILIO:token:{redaction.fingerprint(token)}]" in masked
    assert token not in masked
    assert redact(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "{}", "md5={}", "trace_id={}", "token_id: x {}", "auth_token_count=1 {}", "etag={}",
        "auth_token={}0", "auth_token=x{}", "tokens {}", "AUTH_TOKEN is\n{}", "SM{}", "CA{}",
    ],
)  # fmt: skip
def test_32_hex_digits_elsewhere_stay(text: str) -> None:
    line = text.format("0123456789abcdef" * 2)
    assert redact(line) is line


@pytest.mark.parametrize("name", ["TWILIO_API_SECRET", "TWILIO_SHOP_API_KEY_SECRET"])
def test_an_unregistered_secret_next_to_its_name_is_hidden(name: str) -> None:
    secret = key_secret()
    assert redact(f"{name}={secret};") == f"{name}=[TWILIO:secret:{redaction.fingerprint(secret)}];"
    assert secret not in redact(f"{key_sid()}:{secret}")


def test_unregistered_basic_credentials_are_hidden() -> None:
    for user, kind in ((account_sid(), "token"), (key_sid(), "secret")):
        secret = auth_token()
        line = "authorization: basic " + B64(f"{user}:{secret}".encode()).decode()
        masked = redact(line)
        assert masked.endswith(f"[TWILIO:{kind}:{redaction.fingerprint(secret)}]==")
        assert redaction.fingerprint(user) in masked
    other = "Basic " + B64(b"ACme:" + b"x" * 60).decode()
    assert redact(other) is other


def test_sendgrid_keys_are_hidden() -> None:
    value = f"SG.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}"
    assert redact(f"key {value}!") == f"key [TWILIO:sendgrid:{redaction.fingerprint(value)}]!"
    cut = f"SG.{'-' * 22}.{'-' * 43}"  # no run of letters at all
    assert value not in redact(cut) != cut
    assert redact(value[:-1]) == value[:-1]


@pytest.mark.parametrize(
    "written", ["+{}", "whatsapp:+{}", "To=%2B{}&", "whatsapp%3A%2B{}", '"+{}"']
)
def test_phone_numbers_are_hidden_on_request_only(written: str) -> None:
    line = written.format("14155550100")
    assert redact(line) is line
    redaction.choose(mask_phone_numbers=True)
    assert redact(line) == written.format("[TWILIO:phone:hidden]")
    assert redact(redact(line)) == redact(line)
    for clear in ("2026-01-01T10:00:00+0200", "x+14155550100", "+123456", "+1234567890123456"):
        assert redact(clear) is clear


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"body": "Your code is 1234", "to": 1}', '{"body": "<>", "to": 1}'),
        ('{"body":"say \\"hi\\" now","x":"y"}', '{"body":"<>","x":"y"}'),
        ("{'Body': 'it\\'s', 'To': 'x'}", "{'Body': '<>', 'To': 'x'}"),
        ("To=1&Body=Your+code%20is&From=2", "To=1&Body=<>&From=2"),
        ("create(body='hello', to='x')", "create(body='<>', to='x')"),
        ('"{\\"body\\": \\"hello\\", \\"a\\": 1}"', '"{\\"body\\": \\"<>\\", \\"a\\": 1}"'),
        ('"body": "cut off', '"body": "<>'),
        ('"body": ""', '"body": ""'),
        ("somebody='x'", "somebody='x'"),
    ],
)
def test_bodies_are_dropped_on_request_only(line: str, expected: str) -> None:
    assert redact(line) is line
    redaction.choose(drop_bodies=True)
    masked = redact(line)
    assert masked == expected.replace("<>", "[TWILIO:body:dropped]")
    assert redact(masked) == masked


def test_choices_last_until_they_are_taken_back() -> None:
    redaction.install(mask_phone_numbers=True)
    redaction.install()  # as boot() does
    assert registry._choices == (True, False)
    redaction.register(key_secret(), "secret")
    assert redact("+14155550100") == "+[TWILIO:phone:hidden]"
    redaction.uninstall()
    assert registry._choices == (False, False)
