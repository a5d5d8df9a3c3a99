"""``dotenv-vault:.env.vault``: an encrypted ``.env``, opened with the keys in ``DOTENV_KEY``.

Format, as npm's dotenv 16 and dotenvx-ext-vault have it: ``DOTENV_VAULT_<ENVIRONMENT>`` is the
base64 of nonce (12 bytes), ciphertext and tag (16), AES-256-GCM; the key is the last 64 hexadecimal
digits of the password in the URI. Several keys, with commas between them, are tried in order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

from dotenv.parser import parse_stream

from safetwilio.backends.disk import read_text
from safetwilio.backends.documents import Document, is_secret, is_whole, variables
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent, Found, seal
from safetwilio.backends.locate import require_options
from safetwilio.extras import need
from safetwilio.problems import Attempt, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from safetwilio.backends.interface import Value
    from safetwilio.backends.locate import Reference
    from safetwilio.errors import BackendError

DEFAULT_PATH = ".env.vault"
KEY_VARIABLE = "DOTENV_KEY"
_SERVICE = ".env.vault"
_PREFIX = "DOTENV_VAULT_"
_PURPOSE = "dotenv-vault:"
_NONCE, _TAG = 12, 16  # bytes
_KEY_DIGITS = 64
_VERSION_DIGITS = 12
_MOST_NAMED = 8
_HEX = re.compile(rf"[0-9A-Fa-f]{{{_KEY_DIGITS}}}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FORM = "dotenv://:key_…@dotenvx.com/vault/.env.vault?environment=production"
_ENCRYPT = "npx @dotenvx/dotenvx-ext-vault encrypt"


class _Key(NamedTuple):
    """One of the keys: its *number*, and the *environment* that it opens."""

    number: int
    environment: str
    key: SecretStr

    @property
    def name(self) -> str:
        """The name in the file."""
        return f"{_PREFIX}{self.environment.upper()}"


class _Opened(NamedTuple):
    """What one of the keys has opened."""

    key: _Key
    data: _SecretBytes
    version: str


class _SecretBytes:
    """Bytes that no ``repr`` shows."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        """Keep *data*."""
        self._data = data

    def __repr__(self) -> str:
        return "<SecretBytes>"

    def reveal(self) -> bytes:
        """Return the bytes."""
        return self._data


class _Tries:
    """Why each key opened nothing, in the order of what it is worth to know."""

    def __init__(self) -> None:
        self.broken: list[str] = []  # the file itself
        self.closed: list[str] = []  # the key does not fit, or is for another environment
        self.malformed: list[str] = []  # it is no key


class DotenvVaultBackend:
    """Reads one environment of one ``.env.vault`` file; writing is for its own commands."""

    how_to_write = (
        "A .env.vault is made by its own commands: write the key into .env.production (safetwilio "
        f"init --backend dotenv:.env.production), then encrypt it ({_ENCRYPT}, or npx dotenv-vault "
        "push production and npx dotenv-vault build). "
    )

    def __init__(self, reference: Reference) -> None:
        """Take the file's path from *reference*, ``.env.vault`` if it names none; raises ST302."""
        require_options(reference)
        self._reference = reference
        self._path = Path(reference.path or DEFAULT_PATH)

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the first environment that a key of ``DOTENV_KEY`` opens.

        Raises :class:`safetwilio.errors.BackendError`: ST331 without a usable key, ST334 if none
        of them fits, ST333 for a file or content that cannot be read, ST303 and ST308 as for any
        file; and :class:`safetwilio.errors.MissingExtra` (ST901).
        """
        answer = read_text(self._path, str(self._path))  # its mode is no matter: it is encrypted
        if answer is None:
            return Absent(
                (
                    Attempt(
                        "dotenv-vault",
                        self._reference.shown_path or str(self._path),
                        "no such file",
                    ),
                )
            )
        opened = self._opened(answer[0])
        failures = self._failures(opened.key)
        text = self._text(opened, failures)
        bindings = list(parse_stream(StringIO(text)))
        wanted, place = variables(account), f"{self._path}, {opened.key.environment}"
        texts: dict[str, Value] = {}
        for binding in bindings:
            name, value = binding.key, binding.value
            if name is None or value is None or name not in wanted:
                continue
            where = f"{place}, line {binding.original.line}, {name}"
            texts[name] = seal(value, where, secret=is_secret(name))
            if "${" in value:
                raise failures.malformed(
                    what=f"{where}: it refers to another variable with ${{…}}, and none is filled "
                    "in from an encrypted file",
                    fix=f"Write the value itself, and encrypt it again: {_ENCRYPT}",
                )
        document = Document(
            str(self._reference),
            texts,
            place=place,
            missing="not in the encrypted file",
            version=opened.version,
        )
        found = document.answer(account)
        broken = [str(binding.original.line) for binding in bindings if binding.error]
        return _with_broken_lines(found, place, broken, failures) if broken else found

    def _text(self, opened: _Opened, failures: Failures) -> str:
        """Return what was encrypted, which GCM has shown to be whole."""
        try:
            return opened.data.reveal().decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        raise failures.malformed(
            what=f"{self._path}, {opened.key.environment}: what was encrypted is not UTF-8",
            fix=f"Save the .env as UTF-8, and encrypt it again: {_ENCRYPT}",
        )

    def _opened(self, text: str) -> _Opened:
        """Return what the first key that fits opens, or raise why none does."""
        keys = os.environ.get(KEY_VARIABLE, "").strip()
        if not keys:
            raise self._failures().unauthenticated(
                why=f"env {KEY_VARIABLE} is not set",
                fix=f"Set {KEY_VARIABLE} to the key of the environment: it is in .env.keys, or "
                "npx dotenv-vault keys production",
            )
        bindings = list(parse_stream(StringIO(text)))
        vaults = {
            binding.key: binding.value
            for binding in bindings
            if binding.key is not None and binding.key.startswith(_PREFIX)
        }
        broken = next((each.original.line for each in bindings if each.error), None)
        tries = _Tries()
        for number, each in enumerate(keys.split(","), start=1):
            key = _parse(each.strip(), number, tries)
            opened = key and self._try(key, vaults, broken, tries)
            if opened:
                return opened
        raise self._explained(tries, vaults)

    def _try(
        self, key: _Key, vaults: Mapping[str, str | None], broken: int | None, tries: _Tries
    ) -> _Opened | None:
        """Return what *key* opens, ``None`` with a word in *tries* if that is nothing."""
        value = vaults.get(key.name)
        if not value:
            if broken is not None:
                tries.broken.append(f"{self._path}, line {broken} cannot be read")
            elif not vaults:
                tries.broken.append(f"{self._path} has no {_PREFIX}… line")
            else:
                tries.closed.append(f"key {key.number}: the file has no {key.name}")
            return None
        sealed = _decoded(value)
        if sealed is None or len(sealed) < _NONCE + _TAG:
            tries.broken.append(f"{self._path}, {key.name}: cut off or changed, it is no base64")
            return None
        data = _decrypted(sealed, key.key)
        if data is None:
            tries.closed.append(f"key {key.number} does not open {key.name}")
            return None
        return _Opened(key, data, hashlib.sha256(sealed).hexdigest()[:_VERSION_DIGITS])

    def _explained(self, tries: _Tries, vaults: Mapping[str, str | None]) -> BackendError:
        whys = [*tries.broken, *tries.closed, *tries.malformed]
        why = "; ".join([*whys[:_MOST_NAMED], *(["…"] if whys[_MOST_NAMED:] else [])])
        if tries.broken:
            return self._failures().malformed(
                what=why, fix=f"Take the file from version control again, or make it: {_ENCRYPT}"
            )
        if tries.closed:
            names = [name for name in vaults if _ENVIRONMENT.fullmatch(name)][:_MOST_NAMED]
            return self._failures().undecryptable(
                why=why,
                fix=f"Set {KEY_VARIABLE} to the key that the file was encrypted with (.env.keys, "
                f"or npx dotenv-vault keys). The file has: {', '.join(names)}. If the file "
                "was changed by hand, take it from version control again.",
            )
        return self._failures().unauthenticated(why=why, fix=f"Write {KEY_VARIABLE} as in {_FORM}")

    def _failures(self, key: _Key | None = None) -> Failures:
        identity = f"key {key.number} of {KEY_VARIABLE}" if key else None
        return Failures(self._reference, _SERVICE, identity)


def _parse(text: str, number: int, tries: _Tries) -> _Key | None:
    """Return the key that *text* is, ``None`` with a word in *tries* if it is none."""
    try:
        parts = urlsplit(text)
        password = parts.password or ""
        environments = parse_qs(parts.query).get("environment", [""])
    except ValueError:
        password, environments = "", [""]
    digits = password[-_KEY_DIGITS:]
    if not _HEX.fullmatch(digits):
        tries.malformed.append(
            f"key {number} of {KEY_VARIABLE} is no URI with {_KEY_DIGITS} hex digits"
        )
        return None
    key = seal(digits, f"env {KEY_VARIABLE}", secret=True).secret
    if not _ENVIRONMENT.fullmatch(environments[0]):
        tries.malformed.append(f"key {number} of {KEY_VARIABLE} has no environment=")
        return None
    return _Key(number, environments[0], key)


def _decoded(text: str) -> bytes | None:
    """Return the bytes that *text* is the base64 of, in the one way to write them."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data) == text.encode() else None


def _decrypted(sealed: bytes, key: SecretStr) -> _SecretBytes | None:
    """Return what *sealed* holds, ``None`` if *key* does not fit or a bit of it was changed."""
    aead = need(
        "cryptography.hazmat.primitives.ciphers.aead", extra="dotenv-vault", purpose=_PURPOSE
    )
    invalid = need("cryptography.exceptions", extra="dotenv-vault", purpose=_PURPOSE).InvalidTag
    cipher = aead.AESGCM(bytes.fromhex(key.get_secret_value()))
    try:
        return _SecretBytes(cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None))
    except invalid:
        return None


def _with_broken_lines(
    found: Found | Absent, place: str, lines: list[str], failures: Failures
) -> Found:
    """Return *found* with a warning about *lines*; they may be what is missing: then raise."""
    where = f"{place}, line {', '.join(lines)}"
    fix = "Write NAME=value there, with matching quotes around a value that needs them, and "
    fix += f"encrypt it again: {_ENCRYPT}"
    if isinstance(found, Absent) or not is_whole(found.record.fields):
        raise failures.malformed(what=f"{where} cannot be read", fix=fix)
    problem = Problem(
        code="ST304",
        summary="The encrypted .env has a line that cannot be read.",
        found_in=(where,),
        fix=fix,
        severity="warning",
    )
    return Found(found.record._replace(problems=(*found.record.problems, problem)))
