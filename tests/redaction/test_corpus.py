"""Nothing in more than five megabytes of ordinary logs is taken for a secret."""

from __future__ import annotations

import hashlib
import io
import re

import corpus
import pytest

from safetwilio import redaction
from support import account_sid, auth_token, key_secret, key_sid

SHA256 = "8022f7f6f7fe889f611cab35deb386749b5340fc3fc6602f8dec1debbff40d4d"
MASK = re.compile(r"\[TWILIO:[^\]]*\]")


@pytest.fixture(scope="module")
def entries() -> list[str]:
    """Return the corpus, entry by entry."""
    return list(corpus.lines())


@pytest.fixture(autouse=True)
def values() -> list[str]:
    """Return a registered account, key, secret and token."""
    made = [account_sid(), key_sid(), key_secret(), auth_token()]
    for value, kind in zip(made, ("account", "key", "secret", "token"), strict=True):
        redaction.register(value, kind)
    return made


def test_the_corpus_is_one_certain_text(entries: list[str]) -> None:
    data = corpus.make().encode()
    assert hashlib.sha256(data).hexdigest() == SHA256
    assert len(data) > 5 * 1024 * 1024
    assert len(entries) == 11_777
    assert data == ("\n".join(entries) + "\n").encode()


def test_no_entry_is_changed(entries: list[str]) -> None:
    assert [entry for entry in entries if redaction.redact(entry) is not entry] == []


def test_the_whole_is_not_changed() -> None:
    data = corpus.make().encode()
    assert redaction.redact_bytes(data) is data


def test_two_megabytes_of_it_in_a_stream_are_not_changed() -> None:
    data, out = corpus.make().encode()[:2_000_000], io.BytesIO()
    stream = redaction.RedactingStream(out)
    stream.writelines(data[at : at + 100_003] for at in range(0, len(data), 100_003))
    stream.finish()
    assert out.getvalue() == data


def test_what_is_planted_there_is_all_that_is_found(entries: list[str], values: list[str]) -> None:
    """Without this, a search that finds nothing at all would pass too."""
    text = entries.copy()
    planted = range(0, len(text), 50)
    for number, at in enumerate(planted):
        text[at] += f"{values[number % 4]}\n{text[at]}"
    masked = [redaction.redact(entry) for entry in text]
    assert [at for at, entry in enumerate(masked) if entry is not text[at]] == list(planted)
    assert all(len(MASK.findall(masked[at])) == 1 for at in planted)
    assert not any(value in masked[at] for value in values for at in planted)


def masked_of(texts: list[str]) -> int:
    return sum(redaction.redact(text) is not text for text in texts)


def test_what_is_masked_by_design_is_counted_apart() -> None:
    """These figures stand in docs/redaction.md; nothing of this kind is in the corpus."""
    source = corpus.Source(b"apart")
    digests = {digits: [source.hex(digits).upper() for _ in range(5000)] for digits in (32, 40, 64)}
    assert {digits: masked_of(texts) for digits, texts in digests.items()} == {
        32: 0,
        40: 137,
        64: 606,
    }
    names = ("oauth_token=", "X-Auth-Token: ", '"auth_token": "', "csrf_token=", "token=", "key=")
    assert [name for name in names if masked_of([name + source.hex(32)])] == list(names[:3])
