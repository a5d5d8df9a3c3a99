"""Optional libraries: imported when they are used, and missed with the pip command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from safetwilio.errors import MissingExtra
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from types import ModuleType


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Return the optional *module*, which comes with *extra* and serves *purpose* (``vault:``).

    Raises :class:`safetwilio.errors.MissingExtra` (ST901) if it is not installed, or does not
    import.
    """
    reason = ""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module != missing and not module.startswith(f"{missing}."):
            reason = f"it needs {missing}, which is not there"
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        reason = f"importing it raised {type(error).__name__}"
    library = module.partition(".")[0]
    raise MissingExtra(
        [
            Problem(
                code="ST901",
                summary=f"{purpose} needs the library {library}, which "
                f"{'does not work here' if reason else 'is not installed'}.",
                found_in=(reason,) if reason else (),
                fix=f'pip install "safetwilio[{extra}]"',
            )
        ]
    )
