"""What the table of broken configurations is written with."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support import Key

BOOT = "from safetwilio import client"
ACCOUNT, KEY, SECRET = "TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"
TOKEN, BACKEND = "TWILIO_AUTH_TOKEN", "SAFETWILIO_BACKEND"


class Situation(NamedTuple):
    """The *environment* and the *files* (``None``: a directory, ``-> x``: a link) of a process."""

    environment: Mapping[str, str]
    files: Mapping[str, str | bytes | None] = {}
    modes: Mapping[str, int] = {}


class Configuration(NamedTuple):
    """One broken configuration; *words* describe it, *codes* is what the report must name.

    *make* gets a fresh key and returns the situation; *program* is what the process runs.
    """

    name: str
    words: str
    codes: tuple[str, ...]
    make: Callable[[Key], Situation]
    program: str = BOOT
    starts: bool = False


def env(**changes: str | None) -> Callable[[Key], Situation]:
    """Return a maker of a whole key in the environment, with *changes* (``None``: unset)."""
    return partial(changed, changes)


def changed(changes: Mapping[str, str | None], key: Key) -> Situation:
    merged = {**key.environment(), **changes}
    return Situation({name: value for name, value in merged.items() if value is not None})


def dotenv(change: Callable[[str], str | bytes], mode: int = 0o600) -> Callable[[Key], Situation]:
    """Return a maker of a whole key in ``.env``, its text passed through *change*."""
    return lambda key: Situation({}, {".env": change(key.dotenv())}, {".env": mode})


def fresh(name: str, make: Callable[[], str]) -> Callable[[Key], Situation]:
    """Return a maker of a whole key whose variable *name* holds what *make* returns."""
    return lambda key: changed({name: make()}, key)


def secrets_directory(key: Key) -> dict[str, str | bytes | None]:
    return {f"secrets/{name.lower()}": value for name, value in key.environment().items()}


PLUGIN = {
    "plugins/brokenvault.py": "import a_library_that_is_not_installed\n",
    "plugins/brokenvault-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: brokenvault\n"
    "Version: 1\n",
    "plugins/brokenvault-1.dist-info/entry_points.txt": "[safetwilio.backends]\n"
    "corpvault = brokenvault:Backend\n",
}
FAILING_PLUGIN = {
    **PLUGIN,
    "plugins/brokenvault.py": "class Backend:\n    def __init__(self, reference):\n        pass\n\n"
    "    def load(self, account):\n        raise TimeoutError('the vault did not answer')\n",
}
APP = "from app import settings"
APP_WITH_A_FIELD = (
    "from safetwilio import TwilioSettings\n\n\nclass Settings(TwilioSettings):\n"
    "    sender_number: str\n    retries: int = 3\n\n\nsettings = Settings()\n"
)
