"""``dotenv:.env``: that file only, no search in parent directories.

Parsing is python-dotenv's, which pydantic-settings brings along, and ``${…}`` means what it means
there; but it is filled in only where our names need it, and only up to a length.
"""

from __future__ import annotations

import hashlib
import os
import re
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv.parser import parse_stream
from dotenv.variables import Variable, parse_variables

from safetwilio.backends.disk import is_foreign_link, read_text
from safetwilio.backends.documents import (
    Document,
    contradiction,
    is_secret,
    is_whole,
    spellings_to_replace,
    variable,
    variables,
)
from safetwilio.backends.interface import Absent, Found, seal, silent
from safetwilio.backends.locate import require_options
from safetwilio.errors import BackendDenied, BackendError
from safetwilio.private_files import locked, write_private
from safetwilio.problems import Attempt, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dotenv.parser import Binding
    from pydantic import SecretStr

    from safetwilio.backends.interface import Value
    from safetwilio.backends.locate import Reference

DEFAULT_PATH = ".env"
_VERSION_DIGITS = 12
_VERSION = re.compile(rf"[0-9a-f]{{{_VERSION_DIGITS}}}")
_LONGEST_VALUE = 64 * 1024
_LONGEST_TOGETHER = 16 * _LONGEST_VALUE
_SWITCHES = "SAFETWILIO_"


class DotenvBackend:
    """Reads and writes one ``.env`` file."""

    def __init__(self, reference: Reference) -> None:
        """Take the file's path from *reference*, ``.env`` if it names none; raises ST302."""
        require_options(reference)
        self._reference = reference
        self._path = Path(reference.location or DEFAULT_PATH)

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the file.

        A line that cannot be read is a warning when the pair is whole without it, and raises
        :class:`safetwilio.errors.BackendError` (ST304) when it may be what is missing.
        """
        answer = read_text(self._path, str(self._path))
        if answer is None:
            shown = self._reference.shown_path or DEFAULT_PATH
            return Absent((Attempt("dotenv", shown, f"no such file{_in(self._path)}"),))
        text, warnings = answer
        bindings = list(parse_stream(StringIO(text)))
        document = Document(
            str(self._reference),
            self._texts(bindings, account),
            place=str(self._path),
            version=_version(text),
            problems=(*warnings, *self._switches(bindings), *self._twice(bindings, account)),
        )
        found = document.answer(account)
        broken = [_first_line(binding) for binding in bindings if binding.error]
        return _with_syntax_errors(found, str(self._path), broken) if broken else found

    def _twice(self, bindings: Sequence[Binding], account: str | None) -> Iterator[Problem]:
        """Yield a fault for each name of ours with two values: nobody can tell which is meant."""
        for name in sorted(variables(account)):
            filled = [b for b in bindings if b.key == name and b.value]
            if len({binding.value for binding in filled}) > 1:
                first, last = (
                    seal("", f"{self._path}, line {_first_line(b)}, {name}", secret=False)
                    for b in (filled[0], filled[-1])
                )
                yield contradiction(name, first, last)

    def _texts(self, bindings: Sequence[Binding], account: str | None) -> dict[str, Value]:
        wanted = variables(account)
        mine = [b for b in bindings if b.key in wanted and b.value is not None]
        expanded: Mapping[str, str | None] = {}
        if any("${" in (b.value or "") for b in mine):
            expanded = self._expanded(bindings, {b.key for b in mine if b.key is not None})
        return {
            b.key: seal(
                expanded.get(b.key, b.value) or "",
                f"{self._path}, line {_first_line(b)}, {b.key}",
                secret=is_secret(b.key),
            )
            for b in mine
            if b.key is not None and b.value is not None
        }

    def _expanded(self, bindings: Sequence[Binding], wanted: set[str]) -> Mapping[str, str | None]:
        """Return the values of *wanted* with each ``${…}`` filled in, as ``dotenv_values`` would.

        An earlier line of the file goes before the environment. A few lines that name each other
        can stand for gigabytes: lengths are added up before a text is made.
        """
        values: dict[str, str | None] = {}
        known: dict[str, str | None] = dict(os.environ)
        together = 0
        for binding in _needed(bindings, wanted):
            value = binding.value
            if value is not None and "${" in value:
                if len(value) > _LONGEST_VALUE:
                    raise BackendError([self._too_long(binding)])
                parts = [atom.resolve(known) for atom in parse_variables(value)]
                length = sum(map(len, parts))
                together += length
                if length > _LONGEST_VALUE or together > _LONGEST_TOGETHER:
                    raise BackendError([self._too_long(binding)])
                value = "".join(parts)
            values[binding.key or ""] = known[binding.key or ""] = value
        return values

    def _too_long(self, binding: Binding) -> Problem:
        return Problem(
            code="ST304",
            summary="The .env file has a value that is too long with its ${...} filled in.",
            found_in=(f"{self._path}, line {_first_line(binding)}",),
            fix="Write the value there without ${...}; at most "
            f"{_LONGEST_VALUE // 1024} KiB are filled in.",
        )

    def _switches(self, bindings: Sequence[Binding]) -> Iterator[Problem]:
        """Yield a warning for switches of ours, which have no effect in a file."""
        found = [b for b in bindings if (b.key or "").startswith(_SWITCHES)]
        if found:
            yield Problem(
                code="ST223",
                summary="A SAFETWILIO_ name in the .env has no effect.",
                found_in=tuple(f"{self._path}, line {_first_line(b)}, {b.key}" for b in found),
                fix="It is read from the process environment only: set it there, and remove the "
                "line.",
                severity="warning",
            )

    def require_writable(self) -> None:
        """Raise :class:`safetwilio.errors.BackendDenied` (ST307) if the file cannot be replaced."""
        if is_foreign_link(self._path):
            raise BackendDenied([self._not_writable("it is a link that another user has made")])
        directory = Path(os.path.realpath(self._path)).parent
        if not os.access(directory, os.W_OK | os.X_OK):
            raise BackendDenied([self._not_writable("the directory is missing or not writable")])
        read_text(self._path, str(self._path))  # raises here if it cannot be read

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Put *fields* into the file, in one step and with mode 0600; other lines stay.

        Earlier spellings of the same fields (aliases, ``…_FILE``) are taken out, because two
        different values for one field would stop the next boot. Only one process at a time is let
        in, so that none undoes what another has just written. With *replaces* the file must still
        be of that version, for an empty string there must be none. Raises
        :class:`safetwilio.errors.BackendError` (ST307, ST338, and ST303 or ST308 for the file).
        """
        self.require_writable()
        failure: OSError | None = None
        try:
            with locked(self._path):
                self._write(fields, account, replaces)
        except OSError as error:
            failure = error
        if failure is not None:
            reason = failure.strerror or type(failure).__name__
            raise BackendDenied([self._not_writable(reason)])
        return str(self._path)

    def _write(
        self, fields: Mapping[str, SecretStr], account: str | None, replaces: str | None
    ) -> None:
        answer = read_text(self._path, str(self._path))
        found = _version(answer[0]) if answer else ""
        if replaces is not None and replaces != found:
            raise BackendError([self._changed_meanwhile(replaces, found)])
        text = answer[0] if answer else ""
        write_private(self._path, "".join(_with_fields(text, fields, account)).encode())

    def _changed_meanwhile(self, expected: str, found: str) -> Problem:
        return Problem(
            code="ST338",
            summary="The .env file was changed by somebody else meanwhile.",
            found_in=(
                str(self._path),
                f"expected {_in_words(expected)}, found {_in_words(found)}",
            ),
            fix="Nothing was written. Look at what is there now, and try again.",
        )

    def _not_writable(self, reason: str) -> Problem:
        return Problem(
            code="ST307",
            summary="The .env file cannot be written.",
            found_in=(f"{self._path} ({reason})",),
            fix="Make the directory writable for this user, or name another file.",
        )


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]


def _in_words(version: str) -> str:
    """Return *version* if it may be one; what a caller hands in by mistake is not shown."""
    if not version:
        return "no file"
    return f"version {version}" if _VERSION.fullmatch(version) else "a version of another place"


def _needed(bindings: Sequence[Binding], wanted: set[str]) -> list[Binding]:
    """Return those of *bindings*, in their order, that the last values of *wanted* come from."""
    names = set(wanted)
    needed: list[Binding] = []
    for binding in reversed(bindings):
        if binding.key in names:
            needed.append(binding)
            names.discard(binding.key)
            value = binding.value or ""
            if "${" in value and len(value) <= _LONGEST_VALUE:
                atoms = parse_variables(value)
                names.update(atom.name for atom in atoms if isinstance(atom, Variable))
    return needed[::-1]


def _with_fields(text: str, fields: Mapping[str, SecretStr], account: str | None) -> Iterator[str]:
    """Yield *text* with each of *fields* in the place where it stood, new ones at the end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    owner = {name: field for field in fields for name in spellings_to_replace(field, account)}
    left = dict(fields)
    last = newline
    for binding in parse_stream(StringIO(text)):
        original = binding.original.string
        field = owner.get(binding.key or "")
        if field is None:
            last = original
        else:
            blank = original[: len(original) - len(original.lstrip())]
            lead = blank[: blank.rfind("\n") + 1]  # the parser counts blank lines before to it
            last = lead
            if field in left:
                export = "export " if original[len(blank) :].startswith("export") else ""
                value = left.pop(field).get_secret_value()
                last += f"{export}{variable(field, account)}={value}{newline}"
        yield last
    if left and last and not last.endswith(("\n", "\r")):
        yield newline
    for field, secret in left.items():
        yield f"{variable(field, account)}={secret.get_secret_value()}{newline}"


def _in(path: Path) -> str:
    """Return where a relative *path* was looked for: often the program runs elsewhere."""
    if path.is_absolute():
        return ""
    try:
        return f" in {Path.cwd()}"
    except OSError:  # the directory is gone
        return ""


def _first_line(binding: Binding) -> int:
    """Return the line that *binding* starts on, after the blank lines that belong to it."""
    string = binding.original.string
    return binding.original.line + string[: len(string) - len(string.lstrip())].count("\n")


def _with_syntax_errors(found: Found | Absent, path: str, lines: list[int]) -> Found | Absent:
    numbers = ", ".join(map(str, lines))
    whole = not isinstance(found, Absent) and is_whole(found.record.fields)
    problem = Problem(
        code="ST304",
        summary="The .env file has a line that cannot be read.",
        found_in=(f"{path}, line {numbers}",),
        fix="Write NAME=value there, with the name first and matching quotes around a value "
        "that needs them, or make the line a comment with #.",
        severity="warning" if whole else "fault",
    )
    if isinstance(found, Absent) or not whole:
        raise BackendError([problem])
    return Found(found.record._replace(problems=(*found.record.problems, problem)))
