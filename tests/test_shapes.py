"""What Twilio's identifiers and secrets look like, and what only looks like them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetwilio import shapes
from support import ALPHANUMERIC, account_sid, auth_token, key_secret, key_sid

HEX = "0123456789abcdef"


def test_sids_of_both_kinds_are_told_apart() -> None:
    assert shapes.is_sid(account_sid(), "AC")
    assert shapes.is_sid(key_sid(), "SK")
    assert not shapes.is_sid(account_sid(), "SK")


@pytest.mark.parametrize(
    "change",
    [
        lambda sid: sid[:-1],
        lambda sid: sid + "0",
        lambda sid: sid.lower(),
        lambda sid: sid[:-1] + "g",
        lambda sid: " " + sid,
        lambda sid: sid[:-1] + "\u0661",
        lambda _: "",
    ],
    ids=["short", "long", "lower-case", "no-hex", "space", "arabic-digit", "empty"],
)
def test_nearly_a_sid_is_none(change) -> None:  # noqa: ANN001
    assert not shapes.is_sid(change(account_sid()), "AC")


def test_sid_may_be_in_upper_case_hex() -> None:
    assert shapes.is_sid("AC" + "0123456789ABCDEF" * 2, "AC")


def test_auth_token_is_lower_case_hex() -> None:
    token = auth_token()

    assert shapes.is_auth_token(token)
    assert not shapes.is_auth_token(token[:-1] + "G")
    assert not shapes.is_auth_token(token[:-1])
    assert not shapes.is_auth_token("A" + token[1:])


@pytest.mark.parametrize(("length", "good"), [(19, False), (20, True), (64, True), (65, False)])
def test_secret_has_twenty_to_sixty_four_characters(length: int, good: bool) -> None:  # noqa: FBT001
    assert shapes.is_key_secret(key_secret(length)) is good


@pytest.mark.parametrize("bad", ["-", " ", "+", "\u00e9", "\u0661", "\n"])
def test_secret_is_ascii_letters_and_digits(bad: str) -> None:
    assert not shapes.is_key_secret(key_secret(31) + bad)


@pytest.mark.parametrize("value", ["ie1", "dublin", "sao-paulo", "a" * 40])
def test_region_or_edge(value: str) -> None:
    assert shapes.is_region_or_edge(value)


@pytest.mark.parametrize("value", ["", "IE1", "a.b", "a/b", "a@b", "a" * 41, "ie1\n"])
def test_no_region_or_edge(value: str) -> None:
    assert not shapes.is_region_or_edge(value)


@pytest.mark.parametrize(
    "value",
    [
        "your_auth_token",
        "YOUR-API-KEY",
        "paste your key here",
        "changeme",
        "<secret>",
        "${TWILIO_API_SECRET}",
        "[secret]",
        "***",
        "...",
        "\u2026",
        "dummy",
        "dummy_secret",
        "TODO",
        "none",
        "ACxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AC" + "X" * 32,
        "SK" + "0" * 32,
        "AC" + "0123456789abcdef" * 2,
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210fedcba9876543210"[::-1],
        "zyxwvutsrqponmlkjihgfedcba543210",
        "abcdefghijklmnopqrstuvwxyz012345",
        "deadbeef" * 4,
        "1234567890" * 3 + "12",
        "AC5afe0000" + "ab" * 12,
    ],
)
def test_placeholders(value: str) -> None:
    assert shapes.is_placeholder(value)


@pytest.mark.parametrize("value", ["", "abc", "deadbeef", "AC5afe0000" + "0f3a92b7" * 0])
def test_too_little_to_say(value: str) -> None:
    assert not shapes.is_placeholder(value)


def test_emulated_sids_are_no_placeholders() -> None:
    assert not shapes.is_placeholder("AC5afe0000" + "8d1c3f0b7a924e6d5f18c2b0")


def test_emulated() -> None:
    assert shapes.is_emulated("AC5afe0000" + "0" * 24)
    assert shapes.is_emulated("SK5afe0000" + "0" * 24)
    assert not shapes.is_emulated(account_sid().replace("5afe0000", "0"))


def test_one_in_a_million_real_secrets_is_not_taken_for_a_dummy() -> None:
    """The word may stand in a base62 secret by chance: 28 places times (2/62)^5."""
    assert not shapes.is_placeholder("q7XbDummyRk2Zc9Vt4Lw8Hn3Jp6Fs1Gy")


@given(st.text(ALPHANUMERIC, min_size=32, max_size=32).filter(lambda v: len(set(v.lower())) > 12))
def test_random_secrets_are_rarely_placeholders(value: str) -> None:
    """Whatever Hypothesis finds must hold one of the words or runs that are looked for."""
    if shapes.is_placeholder(value):
        lowered = value.lower()
        runs = [lowered[i : i + 10] for i in range(23)]
        words = ("changeme", "replaceme", "example", "placeholder", "xxxxxx")
        counting = string.ascii_lowercase, string.digits, HEX, HEX[::-1], HEX * 2
        assert any(word in lowered for word in words) or (
            any(run in text or run in text[::-1] for run in runs for text in counting)
            or any(lowered[:p] * 4 == lowered[: 4 * p] for p in range(1, 9))
            or lowered[:10] * 3 == lowered[:30]
            or lowered[:9] * 3 == lowered[:27]
        )


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("AC" + "0" * 32, "AC"),
        ("SKabc", "SK"),
        ("ABxyz", None),
        ("ab123", None),
        ("AC", None),
        ("", None),
        ("\u00c4C12", None),
        ("A1234", None),
    ],
)
def test_public_prefix(value: str, prefix: str | None) -> None:
    assert shapes.public_prefix(value) == prefix
