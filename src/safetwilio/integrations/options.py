"""``SAFETWILIO``: the one dict in a framework's settings, read whole and refused by name.

Nothing of a value is shown: it may be a secret that has no place there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.backends.interface import seal
from safetwilio.errors import ConfigurationError, UsageError
from safetwilio.problems import Problem
from safetwilio.settings import require_account_name
from safetwilio.shapes import is_auth_token, is_key_secret
from safetwilio.webhook_settings import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTING = "SAFETWILIO"
_NAME = r"[A-Za-z][A-Za-z_]{0,39}"
# What stands in a name of a credential, and in none of ours. Compiled when something is wrong.
_OF_A_CREDENTIAL = r"(?i)TOKEN|SECRET|(?:^|_)SID|PASSWORD|API_?KEY|SHARED_KEYS?$|CREDENTIAL"
_OF_A_SIGNER = r"(?i)TOKEN|SHARED_KEY"


class Webhooks(NamedTuple):
    """``SAFETWILIO["WEBHOOKS"]``: what :class:`safetwilio.WebhookSettings` takes."""

    public_url: str | None = None
    proxies: tuple[str, ...] = ()
    shared_keys_only: bool = False
    backend: str | None = None
    account: str | None = None

    def load(self, backend: str | None = None) -> WebhookSettings:
        """Return the settings, from their own backend, else from *backend*, that of the key."""
        return WebhookSettings(
            _backend=self.backend or backend,
            public_url=self.public_url,
            proxies=self.proxies,
            shared_keys_only=self.shared_keys_only,
            _account=self.account,
        )


class Options(NamedTuple):
    """``SAFETWILIO``; without *webhooks* the project has none."""

    backend: str | None = None
    client: bool = True
    boot: bool = True
    verify: bool = False
    require: str | None = None
    skip_commands: tuple[str, ...] = ()
    webhooks: Webhooks | None = None

    def load_webhooks(self) -> WebhookSettings:
        """Return the settings of the webhooks, whether there are options for them or not."""
        return (self.webhooks or Webhooks()).load(self.backend)


class Form(NamedTuple):
    """What a value may be: *means* in words, and what makes ours of it (``None``: refused)."""

    means: str
    take: Callable[[Any], Any]


def _text(value: Any) -> Any:
    return value if isinstance(value, str) and value.strip() else None


def _texts(value: Any) -> Any:
    values = (value,) if isinstance(value, str) else value
    is_good = isinstance(values, (list, tuple, set, frozenset)) and all(map(_text, values))
    return tuple(values) if is_good else None


def _account(value: Any) -> Any:
    try:
        return require_account_name(value)
    except (UsageError, TypeError):
        return None


TEXT = Form("a text", _text)
TEXTS = Form("a list of texts", _texts)
BOOL = Form("True or False", lambda value: value if isinstance(value, bool) else None)
_ACCOUNT = Form("the name of an account, as in get_client(NAME)", _account)
_RESTRICTED = Form('"restricted"', lambda value: value if value == "restricted" else None)
_DICT = Form("a dict", lambda value: value if isinstance(value, Mapping) else None)

# What every framework has; one may have more.
OPTIONS: Mapping[str, Form] = {
    "BACKEND": TEXT,
    "CLIENT": BOOL,
    "VERIFY": BOOL,
    "REQUIRE": _RESTRICTED,
    "WEBHOOKS": _DICT,
}
_WEBHOOKS: Mapping[str, Form] = {
    "PUBLIC_URL": TEXT,
    "PROXIES": TEXTS,
    "SHARED_KEYS_ONLY": BOOL,
    "BACKEND": TEXT,
    "ACCOUNT": _ACCOUNT,
}


def read(given: Any, where: str, forms: Mapping[str, Form] = OPTIONS) -> Options:
    """Return what *given*, the dict at *where* (``settings.SAFETWILIO``), says.

    *forms* are the options there are, by name. ``None`` is as if an option was not there.

    :raises ConfigurationError: ST940, with all that is wrong.
    """
    problems: list[Problem] = []
    chosen = _taken(given, where, forms, problems)
    if chosen.get("client") is False and (chosen.get("verify") or chosen.get("require")):
        what = '"VERIFY" or "REQUIRE" beside "CLIENT": False'  # a demand must not pass unheard
        fix = "Without a client there is no key to look at. Take one of them away."
        problems.append(_problem(where, fix, what))
    if chosen.get("webhooks") is not None:
        place = f'{where}["WEBHOOKS"]'
        chosen["webhooks"] = Webhooks(**_taken(chosen["webhooks"], place, _WEBHOOKS, problems))
    if problems:
        del given
        chosen.clear()
        raise ConfigurationError(problems)
    return Options(**chosen)


def _taken(
    given: Any, place: str, forms: Mapping[str, Form], problems: list[Problem]
) -> dict[str, Any]:
    """Return the options that *given* at *place* holds; what is wrong goes to *problems*."""
    if not isinstance(given, Mapping):
        problems.append(_problem(place, "It is a dict.", f"a {type(given).__name__}"))
        return {}
    chosen = {}
    for name, value in given.items():
        form = forms.get(name) if isinstance(name, str) else None
        if form is None:
            problems.append(_unknown(name, value, place, forms))
            continue
        if value is None:  # what a variable of the environment gives that is not set
            continue
        chosen[name.lower()] = form.take(value)
        if chosen[name.lower()] is None:
            fix = f'"{name}" is {form.means}.'
            problems.append(_problem(f'{place}["{name}"]', fix, _kind(value)))
    return chosen


def _unknown(name: Any, value: Any, place: str, forms: Mapping[str, Form]) -> Problem:
    for text in _texts_in(value):
        seal(text, place, secret=isinstance(name, str) and bool(re.search(_OF_A_CREDENTIAL, name)))
    is_name = isinstance(name, str) and re.fullmatch(_NAME, name)
    if not is_name or is_auth_token(name) or is_key_secret(name):
        if isinstance(name, str):
            seal(name, place, secret=True)
        what = (
            f"a key of {len(name)} characters" if isinstance(name, str) else f"a key: {_kind(name)}"
        )
        return _problem(place, f"It takes {', '.join(forms)}.", what)
    if re.search(_OF_A_CREDENTIAL, name):
        return _misplaced(name, place)
    near = get_close_matches(name.upper(), forms, n=1, cutoff=0.7)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    return _problem(place, f"{hint}It takes {', '.join(forms)}.", f'the key "{name}"')


def _misplaced(name: str, place: str) -> Problem:
    where = (
        "The Auth Token or the SharedKeys that sign webhooks are TWILIO_WEBHOOK_AUTH_TOKEN or "
        "TWILIO_WEBHOOK_SHARED_KEYS"
        if re.search(_OF_A_SIGNER, name)
        else "The API key is TWILIO_ACCOUNT_SID, TWILIO_API_KEY and TWILIO_API_SECRET"
    )
    return _problem(
        place,
        f"{where} in the environment, in a .env, or in the store that BACKEND names. If a "
        "secret was committed with the settings, revoke it at Twilio.",
        f'the key "{name}"',
        "The SAFETWILIO setting holds a credential, which has no place there.",
    )


def _problem(
    place: str, fix: str, what: str, summary: str = "The SAFETWILIO setting is not right."
) -> Problem:
    return Problem(code="ST940", summary=summary, found_in=(f"{place} ({what})",), fix=fix)


def _texts_in(value: Any, depth: int = 6) -> Iterator[str]:
    """Yield the texts in *value*, down to *depth*: it may hold itself."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_in(inner, depth - 1)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from _texts_in(inner, depth - 1)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"
