"""What a write to Doppler consists of: change requests, each with the value it may replace.

Facts: "Update" in the API reference (``change_requests``, which Doppler's own CLI sends as well):
a request with an ``originalValue`` is only processed if that is still the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetwilio.backends.documents import spellings_to_replace, variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr


def changes(
    fields: Mapping[str, SecretStr], before: Mapping[str, SecretStr], account: str | None
) -> list[dict[str, object]]:
    """Return the change requests that put *fields* of *account* in the place of *before*.

    A field keeps the name that it has; other names of the same field are deleted, because two
    different values for one field would stop the next boot.
    """
    wanted: list[dict[str, object]] = []
    for field, value in fields.items():
        target, others = _places(field, before, account)
        old = _compared(target, before) if target in before else {"originalName": None}
        wanted.append({"name": target, **old, "value": value.get_secret_value()})
        wanted += [
            {"name": other, **_compared(other, before), "value": None, "shouldDelete": True}
            for other in others
        ]
    return wanted


def took(
    body: Mapping[str, Any] | None,
    fields: Mapping[str, SecretStr],
    before: Mapping[str, SecretStr],
    account: str | None,
) -> bool:
    """Return whether the answer's *body*, which lists what is there now, has all of *fields*.

    A value that Doppler does not show (``restricted``) counts as taken.
    """
    now = (body or {}).get("secrets")
    if not isinstance(now, dict):
        return False
    for field, value in fields.items():
        entry = now.get(_places(field, before, account)[0])
        raw = entry.get("raw") if isinstance(entry, dict) else ""
        if raw is not None and raw != value.get_secret_value():
            return False
    return True


def has_part(
    now: Mapping[str, SecretStr], fields: Mapping[str, SecretStr], before: Mapping[str, SecretStr]
) -> bool:
    """Return whether *now* has a value of *fields* that was not there *before*."""
    old, new = _texts(before), _texts(now)
    return any(text in new and text not in old for text in _texts(fields))


def _compared(name: str, before: Mapping[str, SecretStr]) -> dict[str, object]:
    return {"originalName": name, "originalValue": before[name].get_secret_value()}


def _places(
    field: str, before: Mapping[str, SecretStr], account: str | None
) -> tuple[str, list[str]]:
    """Return the name that *field* is written under, and the other ones that it has now."""
    there = [name for name in spellings_to_replace(field, account) if name in before]
    return (there[0], there[1:]) if there else (variable(field, account), [])


def _texts(found: Mapping[str, SecretStr]) -> set[str]:
    return {text.get_secret_value() for text in found.values()}
