"""From backends and arguments to one checked set of fields, or to every problem at once.

This is where the rules of the house meet: a pair comes whole from one record, the account SID,
region and edge may come from the environment, and the master Auth Token is never an answer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio import rules
from safetwilio.backends import env, trace
from safetwilio.backends.chain import can_be_written, load
from safetwilio.backends.documents import PAIR, variable
from safetwilio.backends.interface import Absent, Found, Record, Value
from safetwilio.backends.locate import (
    backend_variable,
    odd_switch,
    parse,
    passed_over,
    references,
)
from safetwilio.errors import ConfigurationError
from safetwilio.policy import broken_glass, emulator_url
from safetwilio.problems import Attempt, Problem, faults
from safetwilio.refresh_policy import FOREVER, RefreshPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from safetwilio.backends.documents import Document
    from safetwilio.backends.locate import Reference

_FROM_ENVIRONMENT = ("account_sid", "region", "edge")
_ENV_SOURCE = "env"
ARGUMENTS = "arguments"
_CHECKS = {
    "account_sid": rules.check_account_sid,
    "key_sid": rules.check_key_sid,
    "secret": rules.check_secret,
}
# Names that people and other tools give the halves of the pair, and that nothing reads.
_NEAR_MISSES = {
    "key_sid": ("KEY_SID", "API_SID", "API_KEY_ID", "APIKEY", "API_KEY_"),
    "secret": (
        *("API_SECRET_KEY", "API_KEY_SECRET_", "SECRET", "SECRET_KEY", "KEY_SECRET"),
        *("API_TOKEN", "APISECRET", "API_SECRET_"),
    ),
}
_KEY_TYPES = ("main", "standard", "restricted")


class Resolved(NamedTuple):
    """What was found: settings *fields*, their *source* and *version*, and all *problems*.

    With a fault among the problems there are no fields; *broken* is what the backend then raised.
    """

    fields: Mapping[str, Any]
    source: str
    version: str | None
    problems: tuple[Problem, ...]
    broken: type[ConfigurationError] | None = None
    refresh: RefreshPolicy = FOREVER


def resolve(account: str | None, backend: str | None, arguments: Mapping[str, Value]) -> Resolved:
    """Return the fields for *account* from *arguments*, else from *backend* or the environment.

    Whatever is wrong is in ``problems``, also what a broken backend raised.
    """
    surroundings = env.document(account)
    token = surroundings.field("auth_token", account)
    token_places = (token.place,) if token else ()
    around = {
        name: value
        for name in _FROM_ENVIRONMENT
        if (value := surroundings.field(name, account)) is not None
    }
    refresh, unreadable = RefreshPolicy.read(os.environ)
    problems: list[Problem] = [*odd_switch(os.environ), *unreadable]
    emulator = _emulator(problems)
    broken: type[ConfigurationError] | None = None
    trace.used({**around, **arguments})
    answer: Found | Absent = Absent(())
    try:
        answer = _answer(account, backend, arguments)
    except ConfigurationError as error:
        broken = type(error)
        problems += error.problems
    if broken is not None:
        problems += [
            *surroundings.problems,
            *_token_alone(token_places),
            *_field_problems(around),
        ]
        return Resolved({}, "", None, _once(problems), broken)
    if isinstance(answer, Absent):
        if answer.account_sid:
            trace.used({"account_sid": answer.account_sid, **around, **arguments})
        if not backend:
            answer = _with_passed_over(answer, surroundings, account)
        problems += [
            *answer.problems,
            *surroundings.problems,
            *_nothing_found(answer, around, account, token_places, chain=_chain(account, backend)),
        ]
        return Resolved({}, "", None, _once(problems))
    record = answer.record
    fields = {**around, **record.fields, **arguments}
    trace.used(fields, record)
    problems += [*record.problems, *surroundings.problems]
    problems += _pair_problems(record, token_places, account)
    problems += _account_problems(record, around, fields, account)
    problems += _field_problems(fields)
    problems += _main_key(fields)
    if not faults(problems):
        sids = (fields["account_sid"].reveal(), fields["key_sid"].reveal())
        mismatch = rules.check_emulated(sids=sids, emulator=emulator)
        problems += [mismatch] if mismatch else []
    # What is faulty stays sealed: the caller raises, and its frames are shown with their locals.
    settings = {} if faults(problems) else _as_settings(fields, emulator)
    if record.source == _ENV_SOURCE:  # it changes only if the process itself changes it
        refresh = FOREVER
    return Resolved(settings, record.source, record.version, _once(problems), refresh=refresh)


def _once(problems: list[Problem]) -> tuple[Problem, ...]:
    """Return *problems* without repetitions: the environment is looked at twice."""
    return tuple(dict.fromkeys(problems))


def _emulator(problems: list[Problem]) -> str | None:
    try:
        return emulator_url()
    except ConfigurationError as error:
        problems += error.problems
    return None


def _answer(
    account: str | None, backend: str | None, arguments: Mapping[str, Value]
) -> Found | Absent:
    if "key_sid" in arguments or "secret" in arguments:
        return Found(Record(ARGUMENTS, arguments))
    return load(_chain(account, backend), account)


def _chain(account: str | None, backend: str | None) -> tuple[Reference, ...]:
    if backend:
        return parse(backend, place="the argument backend")
    return references(account, os.environ)


def _with_passed_over(answer: Absent, surroundings: Document, account: str | None) -> Absent:
    """Return *answer* with the places that nobody looked at, although a reader would expect it."""
    attempts = [*answer.attempts, *passed_over(account, os.environ)]
    if surroundings.field("key_sid", account):  # the backend env would have found it
        why = f"set, but not looked at: {backend_variable(account)} does not name env"
        attempts.append(Attempt(_ENV_SOURCE, variable("key_sid", account), why))
    return answer._replace(attempts=tuple(attempts))


def _nothing_found(
    answer: Absent,
    around: Mapping[str, Value],
    account: str | None,
    token_places: tuple[str, ...],
    *,
    chain: Sequence[Reference],
) -> Iterator[Problem]:
    places = tuple(dict.fromkeys((*token_places, *answer.token_places)))
    if places:
        yield from _token_alone(places)
    else:
        yield Problem(
            code="ST104",
            summary="There is no Twilio API key.",
            looked_in=(*answer.attempts, *_near_misses(account)),
            fix=_where_to_put_it(chain, account),
        )
    fields = around if answer.account_sid is None else {"account_sid": answer.account_sid, **around}
    yield from _account_problems(None, around, fields, account)
    yield from _field_problems(fields)


def _token_alone(places: Sequence[str]) -> Iterator[Problem]:
    if places:
        yield Problem(
            code="ST501",
            summary="The master Auth Token is set, but no complete API key.",
            found_in=tuple(places),
            fix="The Auth Token opens the whole account and is refused. Make an API key, which "
            "can be limited and revoked on its own: safetwilio init\n"
            "Then remove the Auth Token from there.",
        )


def _pair_problems(
    record: Record, token_places: tuple[str, ...], account: str | None
) -> Iterator[Problem]:
    missing = [name for name in ("key_sid", "secret") if name not in record.fields]
    places = tuple(dict.fromkeys((*token_places, *record.token_places)))
    if missing:
        yield _half_a_pair(record, missing[0], account)
        yield from _token_alone(places)
    elif places:
        yield Problem(
            code="ST502",
            summary="The master Auth Token lies beside a complete API key.",
            found_in=places,
            fix="It is not used for requests. Remove it, so that it cannot leak. If webhooks are "
            f"verified with it, call it {variable('webhook_auth_token', account)}: no client "
            "reads that name.",
            severity="warning",
        )


def _half_a_pair(record: Record, missing: str, account: str | None) -> Problem:
    there = record.fields["key_sid" if missing == "secret" else "secret"]
    outcome = "not set" if record.source == _ENV_SOURCE else "not there"
    looked_in = (
        Attempt(record.source, variable(missing, account), outcome),
        *_near_misses(account, missing),
        *record.unasked,
    )
    otherwise = _instead(there.place) if record.unasked else ""
    if missing == "secret":
        return Problem(
            code="ST101",
            summary="The API key secret is missing.",
            found_in=(f"only the key's SID is there: {there.place}",),
            looked_in=looked_in,
            fix="Put the secret that Twilio showed when the key was created beside the SID.\n"
            f"It cannot be read back from Twilio; if it is lost: safetwilio init{otherwise}",
        )
    return Problem(
        code="ST102",
        summary="The API key SID is missing.",
        found_in=(f"only the secret is there: {there.place}",),
        looked_in=looked_in,
        fix='Put the SID of the key that this secret belongs to beside it; it starts with "SK".'
        f"{otherwise}",
    )


def _instead(place: str) -> str:
    name = place.removeprefix("env ")
    where = f"remove {name} from the environment" if name != place else f"take it out of {place}"
    return f"\nOr {where}, so that the next place is asked."


def _near_misses(account: str | None, *missing: str) -> tuple[Attempt, ...]:
    """Return the names in the environment that were meant for a *missing* field, by the look."""
    prefix = f"TWILIO_{account.upper()}_" if account else "TWILIO_"
    names = [f"{prefix}{name}" for field in missing or PAIR for name in _NEAR_MISSES[field]]
    return tuple(
        Attempt(_ENV_SOURCE, name, "set, but not a name that is read")
        for name in names
        if os.environ.get(name)
    )


def _where_to_put_it(chain: Sequence[Reference], account: str | None) -> str:
    option = f" --account {account}" if account else ""
    if can_be_written(chain):
        return (
            "Put the API key's SID and secret into one of these places, or make a key now: "
            f"safetwilio init{option}"
        )
    first, *others = (variable(name, account) for name in ("secret", "key_sid", "account_sid"))
    names = f"{', '.join(reversed(others))} and {first}"
    mounted = any(reference.scheme == "files" for reference in chain)
    return (
        f"{f'Mount the files {names} there' if mounted else f'Set {names} there'}, or make a key "
        f"with: safetwilio init{option} --backend dotenv:PATH, and move it."
    )


def _account_problems(
    record: Record | None,
    around: Mapping[str, Value],
    fields: Mapping[str, Value],
    account: str | None,
) -> Iterator[Problem]:
    name = variable("account_sid", account)
    if "account_sid" not in fields:
        if record and record.unasked:  # a place that was not asked may have it
            return
        places = dict.fromkeys([record.source if record else _ENV_SOURCE, _ENV_SOURCE])
        yield Problem(
            code="ST103",
            summary="The account SID is missing.",
            looked_in=tuple(Attempt(place, name, "not set") for place in places),
            fix=f'Set {name} to the account\'s SID, which starts with "AC". It is on the first '
            "page of https://console.twilio.com.",
        )
        return
    inside = record.fields.get("account_sid") if record else None
    outside = around.get("account_sid")
    if inside is None or outside is None or fields["account_sid"] not in {inside, outside}:
        return  # an argument decides
    if record and record.source == ARGUMENTS:
        return
    if inside.reveal() and outside.reveal() and inside.reveal() != outside.reveal():
        yield Problem(
            code="ST217",
            summary="The account SID is set twice, to different accounts.",
            found_in=(inside.place, outside.place),
            fix="The key belongs to one account. Remove the account SID that is not the key's.",
        )


def _field_problems(fields: Mapping[str, Value]) -> Iterator[Problem]:
    for name, value in fields.items():
        text, place = value.reveal(), value.place
        problem: Problem | None = None
        if name in _CHECKS:
            problem = _CHECKS[name](text, place)
        elif name in {"region", "edge"}:
            problem = rules.check_region_or_edge(name, text, place)
        elif name == "validation_url":
            problem = rules.check_validation_url(text, place)
        if problem:
            yield problem


def _main_key(fields: Mapping[str, Value]) -> Iterator[Problem]:
    value = fields.get("key_type")
    if value is not None and value.reveal().lower() == "main" and broken_glass() is None:
        yield Problem(
            code="ST503",
            summary="The API key is a Main key, which opens the whole account.",
            found_in=(value.place,),
            fix="Use a Standard or Restricted key: safetwilio init\n"
            "A Main key belongs to the person who administers the account.",
        )


def _as_settings(fields: Mapping[str, Value], emulator: str | None) -> dict[str, Any]:
    def text(name: str) -> str | None:
        return fields[name].reveal() if name in fields else None

    key_type = (text("key_type") or "").lower()
    secret = fields.get("secret")
    return {
        "account_sid": text("account_sid"),
        "api_key": text("key_sid"),
        "api_secret": secret and type(secret.secret)(secret.reveal()),
        "region": text("region"),
        "edge": text("edge"),
        "key_type": key_type if key_type in _KEY_TYPES else None,
        "validation_url": text("validation_url"),
        "emulator": emulator,
    }
