"""What Twilio identifiers and secrets look like.

Floor 0: this module knows nothing but strings.
Sources: SID and secret formats from Twilio's OpenAPI descriptions (``^[A-Z]{2}[0-9a-fA-F]{32}$``);
the Auth Token is 32 lowercase hex digits; API key secrets are 32 base62 characters, a form Twilio
never promised, so a secret of another length is accepted from 20 to 64 characters.
"""

from __future__ import annotations

from binascii import a2b_base64
from itertools import pairwise

SID_LENGTH = 34
AUTH_TOKEN_LENGTH = 32
SECRET_LENGTHS = range(20, 65)

ACCOUNT_PREFIX = "AC"
KEY_PREFIX = "SK"

# SIDs of this range exist only in the emulator: no real account or key has them.
EMULATOR_MARK = "5afe0000"
EMULATOR_ACCOUNT_PREFIX = ACCOUNT_PREFIX + EMULATOR_MARK
EMULATOR_KEY_PREFIX = KEY_PREFIX + EMULATOR_MARK

# Sets and string methods, not regular expressions: compiling those would be a tenth of the boot.
_HEX = frozenset("0123456789abcdefABCDEF")
_LOWER_HEX = frozenset("0123456789abcdef")
_HOST_PART = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_HOST = _HOST_PART | {"."}
_LONGEST_HOST_PART = 40
_PLACEHOLDER_PARTS = (
    *("your_", "your-", "your ", "_here", "-here", " here", "<", "{", "[", "***", "...", "\u2026"),
    *("changeme", "change_me", "change-me", "replaceme", "replace_me", "replace-me"),
    *("placeholder", "example", "dummy_", "dummy-", "_dummy", "-dummy", "xxxxxx"),
)
_PLACEHOLDER_WORDS = frozenset(
    {"dummy", "fixme", "none", "null", "test", "todo", "undefined"}
    | {"secret", "password", "token", "key"}
)
_REFERENCES = (
    *("op://", "vault:", "ref+", "secretref:", "arn:aws:", "aws-sm:", "awssm:", "gcp-sm:"),
    *("gcpsm:", "sm://", "projects/", "akv:", "@microsoft.keyvault(", "doppler:", "bws:"),
)
_MINIMUM_DISTINCT = 6
_LONGEST_PERIOD = 10
_LONGEST_RUN = 10


def is_sid(value: str, prefix: str) -> bool:
    """Return whether *value* is a whole SID that starts with *prefix*."""
    return len(value) == SID_LENGTH and value.startswith(prefix) and _HEX.issuperset(value[2:])


def is_auth_token(value: str) -> bool:
    """Return whether *value* has the form of a master Auth Token (32 lowercase hex digits).

    A base62 API key secret has this form by chance once in 10^19.
    """
    return len(value) == AUTH_TOKEN_LENGTH and _LOWER_HEX.issuperset(value)


def is_key_secret(value: str) -> bool:
    """Return whether *value* may be an API key secret: base62 of 20 to 64 characters."""
    return len(value) in SECRET_LENGTHS and value.isascii() and value.isalnum()


def is_region_or_edge(value: str) -> bool:
    """Return whether *value* may be put into a Twilio host name as region or edge."""
    return 0 < len(value) <= _LONGEST_HOST_PART and _HOST_PART.issuperset(value)


def is_twilio_host(host: str) -> bool:
    """Return whether *host*, in lower case, lies under ``twilio.com``.

    One with a character that host names do not have is refused: libraries differ on where it ends.
    """
    return host.endswith(".twilio.com") and _HOST.issuperset(host)


def is_emulated(sid: str) -> bool:
    """Return whether *sid* belongs to the emulator's range ``AC5afe0000…``/``SK5afe0000…``."""
    return sid.startswith((EMULATOR_ACCOUNT_PREFIX, EMULATOR_KEY_PREFIX))


def is_placeholder(value: str) -> bool:
    """Return whether *value* is a stand-in from a template or a documentation page.

    Words such as ``your_auth_token``, ``ACxxxxxxxx…``, one character or a short group repeated,
    and counting runs such as ``0123456789abcdef0123…`` are placeholders.
    The chance that a random 32-digit hex value is taken for one is below 10^-8.
    """
    if not value:
        return False
    lowered = value.lower()
    if lowered in _PLACEHOLDER_WORDS or any(part in lowered for part in _PLACEHOLDER_PARTS):
        return True
    body = value[2:] if value[:2] in {ACCOUNT_PREFIX, KEY_PREFIX} else value
    if is_emulated(value):  # the emulator's range has zeros by design
        body = value[2 + len(EMULATOR_MARK) :]
    if len(body) < AUTH_TOKEN_LENGTH // 2:
        return False
    return (
        len(set(body.lower())) < _MINIMUM_DISTINCT
        or _is_periodic(body.lower())
        or _counts(body.lower())
    )


def is_json_document(value: str) -> bool:
    """Return whether *value* is, or begins as, a JSON object or array; ``{{ x }}`` is none."""
    return value[:1] in {"{", "["} and (len(value) == 1 or '"' in value) and value[:2] != "{{"


def is_reference(value: str) -> bool:
    """Return whether *value* says where a secret manager has the secret."""
    return value.lower().startswith(_REFERENCES)


def is_encoded_secret(value: str) -> bool:
    """Return whether *value* is an API key secret in base64."""
    if not value.endswith("="):  # without it, it may be a long secret
        return False
    try:
        decoded = a2b_base64(value, strict_mode=True).strip()
    except ValueError:
        return False
    return decoded.isalnum() and len(decoded) in SECRET_LENGTHS


def public_prefix(value: str) -> str | None:
    """Return the two letters of *value* that are no secret (``AC``, ``SK``, …), or ``None``."""
    head, body = value[:2], value[2:]
    known = head.isascii() and head.isalpha() and head.isupper()
    return head if known and body and _HEX.issuperset(body) else None


def _is_periodic(text: str) -> bool:
    return any(
        text == (text[:period] * (len(text) // period + 1))[: len(text)]
        for period in range(1, _LONGEST_PERIOD + 1)
    )


def _counts(text: str) -> bool:
    """Return whether *text* holds a run such as ``0123456789`` or ``abcdefghij``, or reversed."""
    for step in (1, -1):
        run = 1
        for before, after in pairwise(text):
            run = run + 1 if _follows(before, after, step) else 1
            if run >= _LONGEST_RUN:
                return True
    return False


def _follows(before: str, after: str, step: int) -> bool:
    if before.isdigit() and after.isalpha():  # 9 → a, as in counting hex
        return step == 1 and before == "9" and after == "a"
    if before == "f" and after == "0":
        return step == 1
    return ord(after) - ord(before) == step
