"""The contents of a remote secret: a JSON object or ``NAME=value`` lines, read and written whole.

JSON may use the environment's names, snake_case or AWS's managed Twilio schema
(``accountSid``, ``apiKeySid``, ``apiKeySecret``), alone or below a ``#field``. Names that are not
ours are neither kept nor registered, and stay as they are when a new key is written.
"""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING, Any, Literal

from safetwilio.backends.documents import (
    FIELDS,
    Document,
    field_called,
    is_secret,
    spellings,
    spellings_to_replace,
    variable,
    wanted_fields,
)
from safetwilio.backends.interface import Value, seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.failures import Failures
    from safetwilio.errors import BackendError

Style = Literal["environment", "snake", "camel"]
LARGEST = 1 << 20  # bytes; the services themselves take 64 KiB to 1 MiB
_HOW = (
    'Write a JSON object: {"account_sid": "AC…", "api_key": "SK…", "api_secret": "…"}, or the '
    "lines TWILIO_ACCOUNT_SID=AC…, TWILIO_API_KEY=SK… and TWILIO_API_SECRET=…"
)
_TWICE = "{} is there twice, with different values"
# What a key says of itself, besides the pair: no longer true when another key takes its place.
_OF_THE_KEY = ("key_type",)


class _Twice(Exception):
    """A JSON object has a name of ours twice; its text is the name."""


def read(
    payload: bytes | str, failures: Failures, *, account: str | None, version: str | None
) -> Document:
    """Return the document that *payload* is, of one *version*, for *account*.

    Raises :class:`safetwilio.errors.BackendError` (ST333, from *failures*) if it is none.
    """
    reference = failures.reference
    place = f"{reference}#{reference.field}" if reference.field else str(reference)
    texts = {
        name: seal(text, f"{place} {name}", secret=is_secret(name))
        for name, text in _names(payload, failures, account).items()
    }
    return from_texts(texts, failures, version=version)


def from_texts(texts: Mapping[str, Value], failures: Failures, *, version: str | None) -> Document:
    """Return the document of *texts* that were taken apart by the service itself."""
    return Document(
        str(failures.reference),
        texts,
        place=str(failures.reference),
        missing="not in the secret",
        version=version,
    )


def ours(account: str | None) -> frozenset[str]:
    """Return every name that a document may give to a field that is wanted for *account*."""
    return frozenset(name for field in wanted_fields() for name in _spellings(field.name, account))


def merge(
    payload: bytes | str | None,
    fields: Mapping[str, SecretStr],
    failures: Failures,
    *,
    account: str | None,
    style: Style,
) -> str:
    """Return *payload* as JSON with *fields* in it; what else it holds stays as it is.

    A field is written under the name that it has there, a new one in *style*. Raises
    :class:`safetwilio.errors.BackendError`, ST333 for a payload that cannot be read and ST340 for
    ``NAME=value`` lines: nothing is written over that was not understood.
    """
    text = "" if payload is None else _text(payload, failures)
    if text.strip() and not _is_json(text):
        raise failures.not_written(
            why="what is there is not JSON, and other programs may read it as it is",
            fix="Move it to a secret of its own, or make it a JSON object by hand first.",
        )
    document = _object(text, failures) if text.strip() else {}
    field = failures.reference.field
    if field is None:
        _put(document, fields, account, style)
        return json.dumps(document, ensure_ascii=False)
    inner = document.get(field, {})
    as_text = isinstance(inner, str)
    if as_text:
        inner = _object(inner, failures)
    if not isinstance(inner, dict):
        raise _not_an_object(failures)
    _put(inner, fields, account, style)
    document[field] = json.dumps(inner, ensure_ascii=False) if as_text else inner
    return json.dumps(document, ensure_ascii=False)


def _put(
    document: dict[str, Any], fields: Mapping[str, SecretStr], account: str | None, style: Style
) -> None:
    for name in _OF_THE_KEY if "key_sid" in fields else ():
        for spelling in _spellings(name, account):
            document.pop(spelling, None)
    for name, value in fields.items():
        there = [each for each in _to_replace(name, account) if each in document]
        for spelling in there[1:]:
            del document[spelling]
        document[there[0] if there else _in_style(name, account, style)] = value.get_secret_value()


def _names(payload: bytes | str, failures: Failures, account: str | None) -> dict[str, str]:
    """Return the names of ours in *payload*, with their texts."""
    text = _text(payload, failures)
    known = ours(account)
    field = failures.reference.field
    if field is None and not _is_json(text):
        return _from_lines(text, known, failures)
    found: Any = _object(text, failures)
    if field is not None:
        if field not in found:
            raise failures.malformed(
                what=f"the JSON object has no field called {field}",
                fix="Correct the part after # in the reference, or leave it out to read the whole.",
            )
        found = found[field]
        if isinstance(found, str):
            if not _is_json(found):
                return _from_lines(found, known, failures)
            found = _object(found, failures)
        if not isinstance(found, dict):
            raise _not_an_object(failures)
    return dict(_texts(found, known, failures))


def _texts(
    found: Mapping[str, Any], known: frozenset[str], failures: Failures
) -> Iterator[tuple[str, str]]:
    for name in known & found.keys():
        value = found[name]
        if isinstance(value, str):
            yield name, value
        elif value is not None:
            raise failures.malformed(
                what=f"{name} is a {type(value).__name__}, not a text", fix="Put it in quotes."
            )


def _text(payload: bytes | str, failures: Failures) -> str:
    if len(payload) > LARGEST:
        raise failures.malformed(what=f"it is longer than {LARGEST >> 10} KiB", fix=_HOW)
    if isinstance(payload, str):
        return payload
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise failures.malformed(what=f"{len(payload)} bytes that are not UTF-8", fix=_HOW)


def _is_json(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}


def _object(text: str, failures: Failures) -> dict[str, Any]:
    """Return the JSON object in *text*, or raise ST333 without a word of it."""
    what = ""
    found: object = None
    try:
        found = json.loads(text.lstrip("\ufeff"), object_pairs_hook=_without_repetition)
    except json.JSONDecodeError as error:
        what = f"not JSON: line {error.lineno}, column {error.colno}"
    except _Twice as error:
        what = _TWICE.format(error.args[0])
    except (RecursionError, ValueError):  # too deep, or a number of too many digits
        what = "JSON that cannot be read"
    if what:
        raise failures.malformed(what=what, fix=_HOW)
    if not isinstance(found, dict):
        raise _not_an_object(failures)
    return found


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = {key for field in FIELDS for key in field.keys}
    found: dict[str, Any] = {}
    for name, value in pairs:
        mine = name in known or name.startswith("TWILIO_")
        if mine and name in found and found[name] != value:
            raise _Twice(name)
        found[name] = value
    return found


def _not_an_object(failures: Failures) -> BackendError:
    return failures.malformed(what="JSON, but not an object", fix=_HOW)


def _from_lines(text: str, known: frozenset[str], failures: Failures) -> dict[str, str]:
    lines = tuple(_lines(text))
    found: dict[str, str] = {}
    for name, value in lines:
        if name in known and found.setdefault(name, value) != value:
            raise failures.malformed(what=_TWICE.format(name), fix=_HOW)
    if not lines:
        size = len(text.strip())
        raise failures.malformed(
            what=f"one text of {size} characters: which field it is, nobody can tell"
            if size
            else "it is empty",
            fix=_HOW,
        )
    return found


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the ``NAME=value`` lines in *text*; nothing is expanded."""
    from dotenv.parser import parse_stream  # only a secret in that form needs it

    for binding in parse_stream(StringIO(text)):
        if binding.key is not None and binding.value is not None and not binding.error:
            yield binding.key, binding.value


def _spellings(field: str, account: str | None) -> tuple[str, ...]:
    keys = field_called(field).keys
    return (*(name for name in spellings(field, account) if not name.endswith("_FILE")), *keys)


def _to_replace(name: str, account: str | None) -> tuple[str, ...]:
    """Return the names that give way when the field *name* is written."""
    field = field_called(name)
    variables = spellings_to_replace(name, account)
    keys = (key for key in field.keys if key not in field.borrowed)
    return (*(v for v in variables if not v.endswith("_FILE")), *keys)


def _in_style(field: str, account: str | None, style: Style) -> str:
    keys = field_called(field).keys
    if style == "environment":
        return variable(field, account)
    if style == "snake":
        return keys[0]
    return next((key for key in keys if not key.islower()), keys[0])
