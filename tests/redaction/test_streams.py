"""A text in pieces comes out as the whole text would, and what may begin a secret is held back."""

from __future__ import annotations

import base64
import io
import secrets
import string
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safetwilio import redaction
from safetwilio.redaction import engine, streams
from safetwilio.redaction.engine import FAILED, Choices, Matcher, mask
from safetwilio.redaction.streams import RedactingStream, Redactor
from support import account_sid, auth_token, key_secret

ALNUM = string.ascii_letters + string.digits
SECRET, HEX, AWKWARD = key_secret(), auth_token(), "pass wörd: ünder the mät!"
SID = account_sid()
WRAPPED = base64.encodebytes(f"{'x' * 30}{SID}:{SECRET}{'y' * 30}".encode()).decode()
PEM = "\r\n".join(
    base64.b64encode(f"{SID}:{HEX}{SECRET}".encode() * 2).decode()[i : i + 64]
    for i in range(0, 260, 64)
)
# As a token's shape wants it: a header that holds the content type, and something after it.
JWT = "".join(
    (
        base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"HS256","cty":"twilio-fpa;v=1"}').decode(),
        f".{'p' * 30}.{'s' * 43}",
    )
).replace("=", "")
PIECES = st.sampled_from(
    [
        *(SECRET, HEX, AWKWARD, SID, JWT, WRAPPED, PEM, SECRET[5:17], HEX[3:20], SECRET[:11]),
        *("AC", "SK", "eyJ", "auth_token=", "auth_token", "'", '"', "\r\n", "\n", "\r", "\\n", " "),
        *(
            "TWILIO_API_SECRET: ",
            f"SG.{'q' * 22}.{'w' * 43}",
            "SG.",
            "ü",
            "\ud800",
            "Basic ",
            "=",
            ":",
        ),
        *(HEX.encode().hex(), base64.b64encode(f"{SID}:{SECRET}".encode()).decode(), "+1415555"),
        *(
            "0100",
            "%2B",
            'body": "',
            "Body=",
            "\\",
            "&",
            "0" * 16,
            "f" * 31,
            "z" * 64,
            AWKWARD[:14],
        ),
        *(auth_token(), base64.b64encode(f"{account_sid()}:{auth_token()}".encode()).decode()),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=7).map("".join)
MATCHERS = [
    Matcher(
        [(value, mask("secret", "short")) for value in values],
        Choices(phone_numbers=chosen, bodies=chosen),
    )
    for values in ((), (SECRET, HEX), (SECRET, HEX, SID, AWKWARD))
    for chosen in (False, True)
]


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def in_pieces(pieces: list[bytes]) -> bytes:
    redactor = Redactor()
    return b"".join([*map(redactor.feed, pieces), redactor.finish()])


@settings(deadline=None, max_examples=500)
@given(text=TEXTS, matcher=st.sampled_from(MATCHERS), data=st.data())
def test_the_pieces_give_what_the_whole_gives(
    text: str, matcher: Matcher, data: st.DataObject
) -> None:
    raw = encoded(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    before = engine.current()
    engine.publish(matcher)
    try:
        pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        assert in_pieces(pieces) == matcher.redact(raw)
    finally:
        engine.publish(before)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_every_cut_of_every_kind_of_secret(size: int) -> None:
    for value in (SECRET, HEX, SID, AWKWARD):
        redaction.register(value, "secret")
    text = "\n".join(
        [f"a {SECRET}{HEX}b", SID, AWKWARD, JWT, WRAPPED, PEM, f"auth_token='{auth_token()}'"]
    )
    raw = encoded(text)
    pieces = [raw[i : i + size] for i in range(0, len(raw), size)]
    assert in_pieces(pieces) == redaction.redact_bytes(raw)
    assert SECRET.encode() not in in_pieces(pieces)


def test_prompts_and_lines_appear_at_once_and_beginnings_of_secrets_do_not(token: str) -> None:
    out = io.StringIO()
    stream = RedactingStream(out)
    for clear in ("Name: ", "Continue? [y/N] ", "auth_token: ", "a line\n", ">>> ", "50%\r"):
        assert stream.write(clear) == len(clear)
        stream.flush()
        assert out.getvalue().endswith(clear)
    so_far = out.getvalue()
    for character in token[:-1]:
        stream.write(character)
        stream.flush()
        assert out.getvalue() == so_far
    # The last one alone may settle it: 2 of 16 cannot go on as the token's Base64.
    stream.write(token[-1] + "\n")
    assert out.getvalue() == f"{so_far}[TWILIO:token:{redaction.fingerprint(token)}]\n"


def test_what_is_held_back_comes_out_at_the_end() -> None:
    out = io.StringIO()
    with RedactingStream(out) as stream:
        stream.writelines(["ends in AC", "5"])
        assert out.getvalue() == "ends in "
        stream.finish()
        assert out.getvalue() == "ends in AC5"
    assert out.closed


def test_bytes_and_the_buffer_below_a_text_stream(token: str) -> None:
    raw = io.BytesIO()
    stream = RedactingStream(io.TextIOWrapper(raw, "utf-8", write_through=True))
    stream.write(f"a {token} ")
    assert stream.buffer.write(f"b {token}".encode()) == 34
    assert stream.buffer is stream.buffer
    stream.finish()
    shown = f"[TWILIO:token:{redaction.fingerprint(token)}]"
    assert raw.getvalue().decode() == f"a {shown} b {shown}"
    assert stream.encoding == "utf-8"


def test_a_secret_registered_between_two_pieces() -> None:
    value = key_secret()
    redactor = Redactor()
    out = redactor.feed(f"x {value[:20]}".encode())
    redaction.register(value, "secret")
    out += redactor.feed(value[20:].encode()) + redactor.finish()
    assert value not in out.decode()
    assert value[20:] not in out.decode()


def test_it_fails_closed(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    redactor = Redactor()
    assert redactor.feed(token[:9].encode()) == b""
    monkeypatch.setattr(engine, "current", None)
    assert redactor.feed(token[9:].encode()) == FAILED.encode()
    assert redactor.finish() == FAILED.encode()


def test_what_never_ends_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_HELD", 500)
    redactor = Redactor()
    out = redactor.feed(JWT[:-50].encode()) + redactor.feed(b"p" * 600)
    assert out == FAILED.encode()


def test_threads_may_share_a_stream(token: str) -> None:
    out = io.StringIO()
    stream = RedactingStream(out)

    def write() -> None:
        for _ in range(50):
            stream.write(f"<{token}>\n")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(out.getvalue().splitlines()) == {f"<{redaction.redact(token)}>"}


def test_input_shows_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", RedactingStream(out))
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert input(f"Key {secrets.token_hex(3)}? ") == "yes"
    assert out.getvalue().endswith("? ")
