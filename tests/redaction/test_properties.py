"""What holds for every text and every secret."""

from __future__ import annotations

import base64
import re
import string

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from safetwilio.redaction.engine import Kind, Matcher, mask

ALNUM = string.ascii_letters + string.digits
SECRETS = st.one_of(
    st.text(ALNUM, min_size=22, max_size=64),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text("ab", min_size=32, max_size=34),
)
AWKWARD = st.text(ALNUM + "é \"'\\/+%&\n", min_size=22, max_size=40).filter(
    lambda v: not v.isalnum()
)
GLUE = st.one_of(st.text(max_size=12), st.sampled_from(["\\n", "%3A", "\x1b[0m", "AC", "u00e9"]))
KINDS: tuple[Kind, ...] = ("secret", "token")


def matcher(values: list[str]) -> Matcher:
    return Matcher((v, mask(KINDS[i % 2], "short")) for i, v in enumerate(values))


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@settings(deadline=None)
@given(values=st.lists(SECRETS, min_size=1, max_size=4), data=st.data())
def test_no_secret_is_left_and_masking_twice_is_masking_once(
    values: list[str], data: st.DataObject
) -> None:
    parts = data.draw(st.lists(st.one_of(st.sampled_from(values), GLUE), max_size=8))
    found = matcher(values)
    masked = found.redact(encoded("".join(parts)))
    assert all(encoded(v) not in masked for v in values)
    assert found.redact(masked) == masked


@settings(deadline=None)
@given(value=SECRETS, before=st.binary(max_size=6), after=st.binary(max_size=6))
def test_no_base64_form_is_left(value: str, before: bytes, after: bytes) -> None:
    found = matcher([value])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + value.encode() + after)
        masked = found.redact(text)
        start, end = -(-8 * len(before) // 6), 8 * (len(before) + len(value)) // 6
        assert text[start:end] not in masked
        assert found.redact(masked) == masked


@settings(deadline=None)
@given(value=AWKWARD, before=GLUE, after=GLUE)
def test_values_with_other_characters_are_not_left(value: str, before: str, after: str) -> None:
    found = matcher([value])
    assert encoded(value) not in found.redact(encoded(before + value + after))


@settings(deadline=None)
@given(values=st.lists(SECRETS.filter(lambda v: len(v) >= 30), max_size=4), text=st.text())
def test_a_text_without_a_long_run_is_the_same_object(values: list[str], text: str) -> None:
    run = longest = 0
    for character in text:
        run = run + 1 if character in ALNUM else 0
        longest = max(longest, run)
    assume(longest < 30)
    data = encoded(text)
    assert matcher(values).redact(data) is data


@settings(deadline=None)
@given(data=st.binary(max_size=300), values=st.lists(SECRETS, max_size=3))
def test_any_bytes_can_be_searched(data: bytes, values: list[str]) -> None:
    masked = matcher(values).redact(data)
    assert all(v.encode() not in masked for v in values)


@settings(deadline=None)
@given(parts=st.lists(st.sampled_from(["AC", "SK", "A", "0" * 29, "f" * 32, "C0", "x", "-"])))
def test_all_that_sids_cover_is_masked_and_nothing_else(parts: list[str]) -> None:
    text = "".join(parts)
    covered = [False] * len(text)
    for found in re.finditer("(?=(?:AC|SK)[0-9a-f-AC]{32})", text):
        if "-" not in text[found.start() : found.start() + 34]:
            covered[found.start() : found.start() + 34] = [True] * 34
    left = "".join("|" if hidden else c for c, hidden in zip(text, covered, strict=True))
    masked = matcher([]).redact(text.encode()).decode()
    masks = re.compile(r"(\[TWILIO:(account|key):[A-Z2-7]{8}\])+")
    assert masks.sub("|", masked) == re.sub(r"\|+", "|", left)
