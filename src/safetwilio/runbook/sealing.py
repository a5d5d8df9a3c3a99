"""The secret fields of a new credential in an encrypted file, while their backend takes nothing.

The file is what ``age`` makes (age-encryption.org/v1), so that it can be opened by hand, too. What
is encrypted is JSON, of which age shows that it is whole; anybody who knows the recipient can make
such a file, so what comes out of one is checked like any input.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import stat
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from pydantic import SecretStr

from safetwilio import shapes
from safetwilio.errors import MissingExtra, SafeTwilioError, UsageError
from safetwilio.extras import need
from safetwilio.private_files import write_private
from safetwilio.redaction.registry import SHORTEST, register

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

EXTRA = "handoff"
LARGEST = 64 * 1024  # bytes of a sealed file
_VERSION = 1
_VERSION_NAME = "safetwilio_sealed"
_FIELDS_NAME = "fields"
_MAGIC = b"age-encryption.org/v1\n"
_IDENTITY = "AGE-SECRET-KEY-1"
# Its prefix is no secret, and messages speak of it: only what follows is hidden.
_KEYS = re.compile(r"AGE-SECRET-KEY-(?:[A-Z]+-)?1([0-9A-Z]+)", re.IGNORECASE)
_PRIVATE = re.compile(r"AGE-SECRET-KEY-|AGE-PLUGIN-|PRIVATE KEY", re.IGNORECASE)
_SSH = ("ssh-ed25519 ", "ssh-rsa ")

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Sealed(NamedTuple):
    """What :func:`seal` did: the file's *path*, and the one *identity* that opens it.

    The identity is for the operator's eyes, once; it is ``None`` if the recipient was given.
    """

    path: Path
    identity: SecretStr | None


def _alone(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Let the errors of *function* leave alone: the frames they came through hold what is secret.

    So may the arguments: somebody gives a private key where the public one belongs.
    """

    @functools.wraps(function)
    def alone(*arguments: Arguments.args, **options: Arguments.kwargs) -> Answer:
        failure: SafeTwilioError | OSError
        try:
            return function(*arguments, **options)
        except (SafeTwilioError, OSError) as error:
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        del arguments, options
        raise failure

    return alone


def is_available() -> bool:
    """Return whether the library is there; raises nothing."""
    try:
        _age()
    except MissingExtra:
        return False
    return True


@_alone
def check_recipient(text: str) -> str:
    """Return *text* without the white space around it, if something can be sealed to it.

    That is a public key: ``age1…``, ``ssh-ed25519 …`` or ``ssh-rsa …``. Raises
    :class:`safetwilio.errors.UsageError` (ST953), which does not quote it, if it is none; and
    :class:`safetwilio.errors.MissingExtra` (ST901).
    """
    bare = text.strip()
    _recipient(bare)
    return bare


@_alone
def seal(fields: Mapping[str, SecretStr], path: Path, *, recipient: str | None) -> Sealed:
    """Write *fields* to *path*, encrypted to *recipient*, or to an identity made for it alone.

    The file has mode 0600 and is on disk when this returns; what was there is replaced in one
    step. Raises :class:`safetwilio.errors.UsageError`: ST953 for a recipient that is none, ST900
    for fields that are too large to be opened again; :class:`safetwilio.errors.MissingExtra`
    (ST901); and :class:`OSError` if it cannot be written, what was there is then unchanged.
    """
    identity = None
    if recipient is None:
        made = _age().x25519.Identity.generate()
        identity = SecretStr(str(made))
        _hide_keys(identity.get_secret_value())
        public = made.to_public()
    else:
        public = _recipient(recipient.strip())
    content = {
        _VERSION_NAME: _VERSION,
        _FIELDS_NAME: {name: value.get_secret_value() for name, value in fields.items()},
    }
    data = _encrypted(json.dumps(content, indent=2).encode("ascii"), public)
    if len(data) > LARGEST:
        raise UsageError(
            f"What is to be sealed is too large: a sealed file has at most {LARGEST // 1024} KiB. "
            "Nothing was written.",
            code="ST900",
        )
    write_private(path, data)
    return Sealed(path, identity)


@_alone
def unseal(path: Path, identity: SecretStr) -> dict[str, SecretStr]:
    """Return what was sealed in *path*, opened with *identity*; redaction knows it from then on.

    Raises :class:`safetwilio.errors.UsageError` (ST954), whatever the reason why it cannot be
    opened; and :class:`safetwilio.errors.MissingExtra` (ST901).
    """
    age = _age()
    key = _private_key(identity.get_secret_value().strip(), path)
    data = _read(path)
    if not data.startswith(_MAGIC):
        raise _refusal(
            path, "It is no file that age has encrypted: is it the right one, and whole?"
        )
    plain: bytes | None = None
    try:
        plain = age.decrypt(data, [key])
    except Exception:  # noqa: BLE001 - its words are not passed on
        plain = None
    if plain is None:
        raise _refusal(
            path,
            "Either the identity is not the one it was sealed to, or the file was cut off or "
            "changed. Give the identity that was shown when it was sealed, or take the file from "
            f"a backup. {_by_hand(path)}",
        )
    texts = _texts(plain, path)
    for text in texts.values():
        _hide(text)
    return {name: SecretStr(text) for name, text in texts.items()}


def _age() -> Any:
    """Return the library; raises ST901."""
    return need("pyrage", extra=EXTRA, purpose="Sealing a file")


def _recipient(bare: str) -> Any:
    """Return the public key that *bare* is; raises ST953."""
    if _PRIVATE.search(bare):
        _hide_keys(bare)
        raise UsageError(
            "The recipient is a private key. Nothing was sealed, and it is not shown here; but it "
            "may stand in the shell's history or in a list of processes: make a new one "
            "(age-keygen), and give its public key, age1….",
            code="ST953",
        )
    age = _age()
    kind = age.ssh if bare.startswith(_SSH) else age.x25519
    if len(bare.splitlines()) == 1 and bare.startswith(("age1", *_SSH)):
        try:
            return kind.Recipient.from_str(bare)
        except Exception:  # noqa: BLE001, S110 - its words are not passed on
            pass
    raise UsageError(
        "The recipient is no public key that a file can be sealed to (it is not shown: it may be "
        "something else). Give age1… (age-keygen makes one), or the one line of an ssh-ed25519 or "
        "ssh-rsa public key, the latter of 2048 bits or more.",
        code="ST953",
    )


def _encrypted(plain: bytes, public: Any) -> bytes:
    encrypt = _age().encrypt
    try:
        return bytes(encrypt(plain, [public]))
    except Exception:  # noqa: BLE001, S110 - its words are not passed on
        pass
    raise UsageError("Nothing can be sealed to this recipient: give another one.", code="ST953")


def _private_key(text: str, path: Path) -> Any:
    """Return the identity that *text* is; raises ST954."""
    if not text.upper().startswith(_IDENTITY):
        raise _refusal(
            path,
            f"What was given as the identity is none: one begins with {_IDENTITY}. "
            f"{_by_hand(path)} It takes an SSH key, too, if the file was sealed to that.",
        )
    _hide_keys(text)
    kind = _age().x25519.Identity
    try:
        return kind.from_str(text)
    except Exception:  # noqa: BLE001, S110 - its words are not passed on
        pass
    raise _refusal(path, f"The identity was cut off or mistyped: it is not a whole {_IDENTITY}….")


def _read(path: Path) -> bytes:
    """Return the content of *path*; raises ST954 for what is no small file."""
    data, reason = b"", ""
    try:
        # O_NONBLOCK: a FIFO in its place must not hang us.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as stream:
            is_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            data = stream.read(LARGEST + 1) if is_file else b""
    except FileNotFoundError:
        reason = "It does not exist. Is the path right? Once it was handed over, it is removed."
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        words = getattr(error, "strerror", None) or type(error).__name__
        reason = f"It cannot be read: {words}."
    else:
        if not is_file:
            reason = "It is not a regular file."
        elif len(data) > LARGEST:
            reason = f"It is larger than {LARGEST // 1024} KiB, so we did not make it."
    if reason:
        raise _refusal(path, reason)
    return data


def _texts(plain: bytes, path: Path) -> dict[str, str]:
    """Return the fields in *plain*; raises ST954 if that is not what :func:`seal` writes."""
    content: Any = None
    try:
        content = json.loads(plain)
    except (ValueError, RecursionError):
        content = None
    found = content if isinstance(content, dict) else {}
    version, fields = found.get(_VERSION_NAME), found.get(_FIELDS_NAME)
    if type(version) is int and version > _VERSION:
        raise _refusal(path, f"A newer safetwilio has made it: upgrade this one. {_by_hand(path)}")
    is_ours = type(version) is int and version == _VERSION
    if is_ours and isinstance(fields, dict):
        texts = {name: text for name, text in fields.items() if isinstance(text, str)}
        if len(texts) == len(fields):
            return texts
    raise _refusal(path, f"It opens, but safetwilio has not made what is in it. {_by_hand(path)}")


def _refusal(path: Path, reason: str) -> UsageError:
    return UsageError(f"The sealed file {path} cannot be opened. {reason}", code="ST954")


def _by_hand(path: Path) -> str:
    command = f"age -d -i KEYFILE {shlex.quote(str(path))}"
    return f"By hand, with the identity in KEYFILE: {command}"


def _hide_keys(text: str) -> None:
    """Let redaction hide the age keys in *text*, in either case: both are read."""
    for digits in _KEYS.findall(text):
        if len(digits) >= SHORTEST:
            register(digits.upper(), "secret")
            register(digits.lower(), "secret")


def _hide(text: str) -> None:
    """Let redaction hide *text*, as when a backend has read it."""
    bare = text.strip().strip("\ufeff").strip()
    if len(bare) < SHORTEST or shapes.public_prefix(bare) or shapes.is_placeholder(bare):
        return  # SIDs are hidden without being known
    register(bare, "token" if shapes.is_auth_token(bare) else "secret")
