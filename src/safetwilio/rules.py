"""What each field must look like; every breach is a :class:`Problem`, never with its value.

The checks run from the most telling mistake to the least, and each field reports one problem:
a quoted placeholder is quoted first, and nobody needs to hear four complaints about one line.
"""

from __future__ import annotations

from collections.abc import Callable

from safetwilio import shapes
from safetwilio.problems import Problem

_Check = tuple[str, Callable[[str], bool], str, str]
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"  # straight, back and curly
_CIPHERTEXT = "encrypted:"
_USUAL_LENGTH = 32  # facts: twilio.md, section 8
_CONSOLE = "https://console.twilio.com (Account > API keys & tokens)"
_NO_SECRET: tuple[_Check, ...] = (
    (
        "ST206",
        shapes.is_auth_token,
        "The API key secret is the master Auth Token.",
        "An Auth Token opens the whole account and is refused here. Put the secret of the "
        "API key in its place; if it is lost, make a new key: safetwilio init",
    ),
    (
        "ST207",
        lambda v: shapes.public_prefix(v) is not None and len(v) == shapes.SID_LENGTH,
        "The API key secret is a SID.",
        "Put the secret that Twilio showed when the key was created in its place. A SID is "
        "the key's name, not its secret.",
    ),
    (
        "ST205",
        lambda v: not shapes.is_key_secret(v),
        "The API key secret has the wrong length or characters.",
        "A secret is 32 letters and digits. Copy it again, whole and without anything around "
        "it, not even something invisible. It cannot be read back from Twilio; if it is lost: "
        "safetwilio init",
    ),
)


def describe(value: str) -> str:
    """Return what may be said of *value*: its length and, for a SID, its first two letters."""
    size = f"{len(value)} character{'' if len(value) == 1 else 's'}"
    prefix = shapes.public_prefix(value)
    return f'{size}, starts with "{prefix}"' if prefix else size


def check_account_sid(value: str, place: str) -> Problem | None:
    """Return what is wrong with the account SID *value* found at *place*, or ``None``."""
    return _unusable("account SID", value, place) or _first(
        value,
        place,
        (
            "ST202",
            lambda v: v.startswith(shapes.KEY_PREFIX),
            "The account SID is an API key SID.",
            'Use the account\'s SID, which starts with "AC"; "SK" is an API key. It is on the '
            "first page of https://console.twilio.com.",
        ),
        (
            "ST201",
            lambda v: not shapes.is_sid(v, shapes.ACCOUNT_PREFIX),
            "The account SID is malformed.",
            'An account SID is "AC" in capitals and 32 hexadecimal digits (34 characters). Copy it '
            "again from the first page of https://console.twilio.com.",
        ),
    )


def check_key_sid(value: str, place: str) -> Problem | None:
    """Return what is wrong with the API key SID *value* found at *place*, or ``None``."""
    return _unusable("API key SID", value, place) or _first(
        value,
        place,
        (
            "ST203",
            lambda v: v.startswith(shapes.ACCOUNT_PREFIX),
            "The API key SID is not an API key SID.",
            'Use the key\'s SID, which starts with "SK"; "AC" is the account SID.',
        ),
        (
            "ST204",
            lambda v: len(v) == shapes.AUTH_TOKEN_LENGTH and shapes.is_key_secret(v),
            "The API key SID looks like a secret.",
            'Put the key\'s SID there, which starts with "SK". If SID and secret are swapped, swap '
            "them back.",
        ),
        (
            "ST204",
            lambda v: not shapes.is_sid(v, shapes.KEY_PREFIX),
            "The API key SID is malformed.",
            'An API key SID is "SK" in capitals and 32 hexadecimal digits (34 characters). Copy it '
            f"again from {_CONSOLE}.",
        ),
    )


def check_secret(value: str, place: str) -> Problem | None:
    """Return what is wrong with the API key secret *value* found at *place*, or ``None``."""
    return (
        _wrapped(value, place)
        or _unusable("API key secret", value, place)
        or _first(value, place, *_NO_SECRET)
        or _odd_length(value, place)
    )


def _odd_length(value: str, place: str) -> Problem | None:
    """Return a warning: Twilio publishes no length, but every secret that was seen has this one."""
    if len(value) == _USUAL_LENGTH:
        return None
    return Problem(
        code="ST225",
        summary="The API key secret is not as long as Twilio's usually are.",
        found_in=(f"{place} ({describe(value)})",),
        fix=f"They have {_USUAL_LENGTH} characters. If Twilio refuses the key, copy the secret "
        "again, whole; it cannot be read back from Twilio: safetwilio init",
        severity="warning",
    )


def check_region_or_edge(name: str, value: str, place: str) -> Problem | None:
    """Return what is wrong with the *name* (``"region"`` or ``"edge"``) *value*, or ``None``."""
    if shapes.is_region_or_edge(value):
        return None
    return Problem(
        code="ST213",
        summary=f"The {name} is malformed.",
        found_in=(f"{place} ({describe(value)})",),
        fix=f"A {name} is lower-case letters, digits and hyphens, such as "
        f"{'ie1' if name == 'region' else 'dublin'}. Leave it unset for the default.",
    )


def check_validation_url(value: str, place: str) -> Problem | None:
    """Return what is wrong with the URL *value* that proves a Restricted key, or ``None``."""
    host = value.removeprefix("https://").partition("/")[0].lower()
    if value.startswith("https://") and shapes.is_twilio_host(host):
        return None
    return Problem(
        code="ST218",
        summary="The validation URL is not an address of Twilio.",
        found_in=(place,),
        fix="It must start with https:// and name a host under twilio.com, because the key is "
        "sent to it.",
    )


def check_emulated(*, sids: tuple[str, ...], emulator: str | None) -> Problem | None:
    """Return the problem of emulator *sids* without *emulator*, or of real ones with it."""
    emulated = [shapes.is_emulated(sid) for sid in sids]
    if emulator is None and any(emulated):
        return Problem(
            code="ST214",
            summary="These are test credentials, but live ones are needed.",
            found_in=("the account SID or API key SID belongs to the emulator",),
            fix="Set SAFETWILIO_EMULATOR to the running emulator's address, or use a real API "
            "key: safetwilio init",
        )
    if emulator is not None and not all(emulated):
        return Problem(
            code="ST215",
            summary="These are live credentials, but the emulator is in use.",
            found_in=("env SAFETWILIO_EMULATOR is set",),
            fix="Unset SAFETWILIO_EMULATOR to reach Twilio, or use the credentials that the "
            "emulator made (AC5afe0000…, SK5afe0000…).",
        )
    return None


def _wrapped(value: str, place: str) -> Problem | None:
    """Return the fault of a secret that is still inside something, or still to be fetched."""
    return _first(
        value,
        place,
        (
            "ST205",
            shapes.is_json_document,
            "The API key secret is a JSON document.",
            "A secret store was told to give the whole document. Take the field with the secret "
            "out of it, and put that alone there.",
        ),
        (
            "ST205",
            shapes.is_reference,
            "The API key secret is a reference, not a secret.",
            "It looks like a reference of a secret manager that was not resolved. Start the "
            "program through that manager's own command, or put the secret itself there.",
        ),
        (
            "ST205",
            shapes.is_encoded_secret,
            "The API key secret is encoded in base64.",
            "Decode it first: base64 is how Kubernetes shows the data of a Secret, and not what "
            "the program should get.",
        ),
    )


def _unusable(field: str, value: str, place: str) -> Problem | None:
    """Return the fault that any field may have: blank, quoted, encrypted, a placeholder."""
    return _first(
        value,
        place,
        (
            "ST105",
            lambda v: not v,
            f"The {field} is set, but empty.",
            "Give it a value, or remove the empty setting so that the next place is looked at. "
            "An empty value often comes from an unset variable in a .env, compose or CI file.",
        ),
        (
            "ST209",
            lambda v: v[0] in _QUOTES or v[-1] in _QUOTES,
            f"The {field} is in quotes.",
            "Remove the quotation marks; they have become part of the value. Docker's --env-file "
            "and most secret stores keep them.",
        ),
        (
            "ST212",
            lambda v: v.startswith(_CIPHERTEXT),
            f"The {field} was never decrypted.",
            "The value is dotenvx ciphertext. Start the program through dotenvx run with its "
            "private key set; without the key dotenvx passes the ciphertext on and says nothing.",
        ),
        (
            "ST208",
            shapes.is_placeholder,
            f"The {field} is a placeholder.",
            "Replace the example from the template or the documentation by the real value from "
            f"{_CONSOLE}, or run: safetwilio init",
        ),
    )


def _first(value: str, place: str, *checks: _Check) -> Problem | None:
    for code, breaks, summary, fix in checks:
        if breaks(value):
            detail = f"{place} ({describe(value)})" if value else place
            return Problem(code=code, summary=summary, found_in=(detail,), fix=fix)
    return None
