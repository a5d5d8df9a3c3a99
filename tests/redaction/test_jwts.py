"""Access tokens are found by their shape in any text, and nothing else is taken for one."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode

import jwt as pyjwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import VideoGrant

from safetwilio.redaction import engine
from safetwilio.redaction.engine import Matcher, redact
from safetwilio.redaction.fingerprints import fingerprint
from support import account_sid, key_secret, key_sid

BASE64URL = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
CTY = "twilio-fpa;v=1"
# What other languages' libraries write: the order is theirs, and some write spaces.
HEADERS = (
    {"alg": "HS256", "cty": CTY, "typ": "JWT"},
    {"cty": CTY, "typ": "JWT", "alg": "HS256"},
    {"typ": "JWT", "alg": "HS256", "cty": CTY},
    {"alg": "HS256", "cty": CTY, "twr": "ie1", "typ": "JWT"},
    {"x": "", "cty": CTY},
)
# A text around it that is no part of a JWT, so that it must come out as it was.
TEXT = st.text(max_size=20).map(lambda text: f"{text} ")


def new_jwt(identity: str = "ada", region: str | None = None) -> str:
    """Return what Twilio's own library makes."""
    minted: str = AccessToken(
        account_sid(),
        key_sid(),
        key_secret(),
        grants=[VideoGrant(room="hall")],
        identity=identity,
        region=region,
    ).to_jwt()
    return minted


def mask(minted: str) -> str:
    return f"[TWILIO:jwt:{fingerprint(minted)}]"


@given(before=TEXT, after=TEXT, identity=st.text(min_size=1), region=st.sampled_from([None, "ie1"]))
def test_twilios_own_are_masked_and_the_rest_stays(
    before: str, after: str, identity: str, region: str | None
) -> None:
    minted = new_jwt(identity, region)

    assert redact(f"{before}{minted} {after}") == f"{before}{mask(minted)} {after}"


@given(
    header=st.sampled_from(HEADERS),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
    payload=st.binary(min_size=17, max_size=400),
    signature=st.binary(min_size=32, max_size=32),
)
def test_those_of_other_libraries_are_masked(
    header: dict[str, str], separators: tuple[str, str], payload: bytes, signature: bytes
) -> None:
    parts = (json.dumps(header, separators=separators).encode(), payload, signature)
    minted = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    assert redact(f"got {minted}!") == f"got {mask(minted)}!"


@given(
    glue=st.lists(
        st.one_of(
            st.text(BASE64URL + ".", max_size=30), st.sampled_from(["eyJ", "\n", '"', "%3D"])
        ),
        min_size=2,
        max_size=4,
    )
)
def test_no_claim_and_no_signature_is_left_whatever_is_glued_to_it(glue: list[str]) -> None:
    minted = [new_jwt() for _ in glue]
    text = "".join(part + each for part, each in zip(glue, minted, strict=True)) + glue[0]
    masked = redact(text)

    assert all(part not in masked for each in minted for part in each.split(".")[1:])
    assert redact(masked) == masked


@given(data=st.lists(st.sampled_from(["eyJ", "dHdpbGlvLWZwYTt2PT", ".", "-", "a" * 22, " "])))
def test_any_text_of_such_parts_can_be_searched(data: list[str]) -> None:
    masked = redact("".join(data))

    assert engine.FAILED not in masked
    assert redact(masked) == masked


@pytest.mark.parametrize("write", [repr, json.dumps, lambda text: f"\\n{text}\\n"])
def test_what_is_around_it_keeps_its_syntax(write: object) -> None:
    minted = new_jwt()

    assert redact(write(f"\n{minted}\n")) == write(f"\n{mask(minted)}\n")


def test_it_is_masked_in_bytes_urls_and_headers_too() -> None:
    minted = new_jwt()

    assert engine.redact_bytes(minted.encode()) == mask(minted).encode()
    assert redact(f"wss://x.example/?token={minted}&v=2") == (
        f"wss://x.example/?token={mask(minted)}&v=2"
    )
    assert redact(f"Authorization: Bearer {minted}") == f"Authorization: Bearer {mask(minted)}"
    assert redact(f"It was {minted}.") == f"It was {mask(minted)}."


@pytest.mark.parametrize(
    "text",
    [
        pyjwt.encode({"sub": "1"}, secrets.token_hex(32), "HS256"),  # somebody else's
        "eyJhbGciOiJIUzI1NiIsImN0eSI6InR3aWxpby1mcGE7dj0xIiwidHlwIjoiSldUIn0",  # a bare header
        "eyJhbGciOiJIUzI1NiIsImN0eSI6InR3aWxpby1mcGE7dj0xIiwidHlwIjoiSldUIn0.eyJ9.",
        "eyJ" * 40,
        CTY * 4,
    ],
    ids=range(5),
)
def test_what_is_no_access_token_stays_the_same_object(text: str) -> None:
    assert redact(text) is text


CORE = "dHdpbGlvLWZwYTt2PT0"


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 500_000,
        "eyJ" * 500_000 + CORE,
        CORE * 80_000,
        f"{CORE}." * 75_000,
        f"{CORE}-" * 75_000,
        f"eyJ{CORE * 2}.{'a' * 22} " * 25_000,
        CORE * 2 + "." * 1_500_000,
        CORE * 2 + ".a" * 750_000,
        "-" * 1_500_000 + CORE * 2,
    ],
    ids=range(9),
)
@pytest.mark.timeout(60)
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    """Each is a megabyte: half a second of work, but minutes for a search that is not linear."""
    Matcher().redact(text.encode())
