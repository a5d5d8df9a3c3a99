"""Reading what a resource is set to: URLs, methods, flags and SIDs in the form of a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from safetwilio.shapes import is_sid
from safetwilio.testing.answers import bad_parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.testing.call import Call

    Reader = Callable[[str, str], Any]

LONGEST_NAME = 64  # OpenAPI: friendly_name, up to 64 characters long
E164 = re.compile(r"\+[1-9]\d{1,14}")
_NORTH_AMERICAN = re.compile(r"\+1(\d{3})(\d{3})(\d{4})")


def read_settings(call: Call, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the settings that the form of *call* names, each read by the one of *readers*.

    *readers* are by the property's name: ``voice_url`` is the parameter ``VoiceUrl``.
    """
    given = ((name, parameter_of(name)) for name in readers)
    return {
        name: readers[name](parameter, call.get(parameter))
        for name, parameter in given
        if call.has(parameter)
    }


def parameter_of(name: str) -> str:
    """Return what the form calls the property *name*."""
    return "".join(part.capitalize() for part in name.split("_"))


def url(parameter: str, text: str) -> str | None:
    """Return an absolute URL, ``None`` if *text* is empty, which takes the setting away."""
    if text and not is_url(text):
        raise bad_parameter(parameter, "not an absolute http or https URL")
    return text or None


def is_url(text: str) -> bool:
    """Return whether *text* has a protocol and a host name (docs/api/errors/21402)."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def flag(parameter: str, text: str) -> bool:
    """Return what ``true`` or ``false`` means."""
    if text.lower() not in {"true", "false"}:
        raise bad_parameter(parameter, "true or false")
    return text.lower() == "true"


def one_of(*choices: str) -> Reader:
    """Return what reads one of *choices*; OpenAPI lists them."""

    def read(parameter: str, text: str) -> str:
        if text not in choices:
            raise bad_parameter(parameter, f"one of {', '.join(choices)}")
        return text

    return read


def sid(prefix: str) -> Reader:
    """Return what reads a SID that begins with *prefix*, ``None`` if it is empty."""

    def read(parameter: str, text: str) -> str | None:
        if text and not is_sid(text, prefix):
            raise bad_parameter(parameter, f"not an {prefix} SID")
        return text or None

    return read


def name_in(call: Call, default: str | None = None) -> str | None:
    """Return the FriendlyName in the form of *call*, *default* without one."""
    name = call.get("FriendlyName")
    if len(name) > LONGEST_NAME:
        raise bad_parameter("FriendlyName", f"longer than {LONGEST_NAME} characters")
    return name or default


def formatted(number: str) -> str:
    """Return *number* for display: ``(808) 925-5327``; a foreign one stays as it is.

    OpenAPI: to_formatted of a call, and the examples of friendly_name.
    """
    found = _NORTH_AMERICAN.fullmatch(number)
    return f"({found[1]}) {found[2]}-{found[3]}" if found else number


METHOD = one_of("GET", "POST")
API_VERSION = one_of("2010-04-01", "2008-08-01")  # OpenAPI: CreateApplication
