"""The boot report without starting the app, and what boot itself does not look at.

Boot must be fast and must not run other programs; the doctor may: it asks git whether a ``.env``
is tracked, tests every redaction sink, and on request proves the key against Twilio.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio import worktree
from safetwilio.backends.documents import PAIR, SIGNING, spellings
from safetwilio.backends.dotenv import DEFAULT_PATH
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import (
    ADMIN_BACKEND_VARIABLE,
    BACKEND_VARIABLE,
    WEBHOOK_BACKEND_VARIABLE,
    passed_over,
    references,
    signing_references,
)
from safetwilio.backends.trace import traced
from safetwilio.clients.probe import KeyProof, prove
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import mask
from safetwilio.errors import ConfigurationError
from safetwilio.policy import emulator_url
from safetwilio.problems import Problem, faults, faults_first, for_account
from safetwilio.redaction import SWITCH, install
from safetwilio.settings import TwilioSettings
from safetwilio.store import CredentialStore
from safetwilio.webhook_settings import WebhookSettings
from safetwilio.webhooks.urls import shown_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from safetwilio.backends.locate import Reference
    from safetwilio.backends.trace import Asked, Trace
    from safetwilio.problems import Attempt

# What the fields of a record are called in the settings.
_SETTINGS = {"key_sid": "api_key", "secret": "api_secret"}
_UNSOUND = frozenset({"failed", "fallback"})
_OURS = "SAFETWILIO_"
_OF_WEBHOOKS = "TWILIO_WEBHOOK_"
# What begins so is a place, of the default account or of a named one.
_OWN_PLACES = (f"{BACKEND_VARIABLE}_", WEBHOOK_BACKEND_VARIABLE, f"{ADMIN_BACKEND_VARIABLE}_")
_SWITCHES = frozenset(
    f"{_OURS}{name}"
    for name in (
        *("BACKEND", "ADMIN_BACKEND", "BOOT", "REDACT", "ENV", "EMULATOR", "FINGERPRINT_KEY"),
        *("HEARTBEAT", "SERVICE", "JOURNAL", "PREVIOUS_KEY", "TWILIO_OAI", "SUITE_CACHE"),
    )
)


class Source(NamedTuple):
    """Where a *field* of the settings came from: the *place*, and the document's *version*.

    A field that is needed and nowhere to be found has no place.
    """

    field: str
    place: str | None
    version: str | None


class Tried(NamedTuple):
    """One *reference* of the chain, where it was *named*, and what came of it.

    The *outcome* is ``found``, ``half`` (a part of a key), ``absent``, ``broken`` or
    ``not asked``; *attempts* say where an absent key was looked for, *codes* what is broken.
    """

    reference: str
    named: str
    outcome: str
    version: str | None = None
    attempts: tuple[Attempt, ...] = ()
    codes: tuple[str, ...] = ()


class Sources(NamedTuple):
    """Each field with its source, and every place that was *tried*, in order; no values."""

    fields: tuple[Source, ...]
    tried: tuple[Tried, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain JSON types."""
        return {
            "fields": [source._asdict() for source in self.fields],
            "tried": [
                {
                    **tried._asdict(),
                    "attempts": [attempt._asdict() for attempt in tried.attempts],
                    "codes": list(tried.codes),
                }
                for tried in self.tried
            ],
        }


class WebhookSecrets(NamedTuple):
    """What webhooks are verified with: how many secrets of each kind, and the public URL."""

    auth_tokens: int
    shared_keys: int
    public_url: str | None


class Report(NamedTuple):
    """What the doctor found: the key in use (masked), its *kind* if known, and all problems.

    *verified* is whether Twilio accepted the key, ``None`` if it was not asked; *emulator* is the
    address that is asked instead of Twilio. Among *problems* faults come first. A report on
    *webhooks* has no key.
    """

    account: str | None
    key: str | None
    source: str | None
    version: str | None
    kind: str | None
    verified: bool | None
    sinks: tuple[tuple[str, str, str], ...]
    problems: tuple[Problem, ...]
    emulator: str | None = None
    sources: Sources | None = None
    webhooks: WebhookSecrets | None = None

    @property
    def ok(self) -> bool:
        """Whether the app would start and nothing is in danger; warnings are allowed."""
        return not faults(self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "ok": self.ok,
            "account": self.account,
            "key": self.key,
            "source": self.source,
            "version": self.version,
            "kind": self.kind,
            "verified": self.verified,
            "emulator": self.emulator,
            "sinks": [
                {"name": name, "state": state, "detail": detail}
                for name, state, detail in self.sinks
            ],
            "problems": [problem.as_dict() for problem in self.problems],
            **({"sources": self.sources.as_dict()} if self.sources else {}),
            **({"webhooks": self.webhooks._asdict()} if self.webhooks else {}),
        }


def examine(*, account: str | None = None, verify: bool = False, sources: bool = False) -> Report:
    """Return the report on *account*; with *verify* Twilio is asked about the key.

    With *sources* it says where each field came from, and what was tried.
    """
    sinks = tuple((sink.name, sink.state, sink.detail) for sink in install(strict=False))
    problems = [*_sink_problems(sinks), *_unknown_switches()]
    settings: TwilioSettings | None = None
    proof: KeyProof | None = None
    with traced() as trace:
        try:
            settings = TwilioSettings(_account=account)
            problems += settings.warnings
        except ConfigurationError as error:
            problems += error.problems
    problems += _tracked_files(account)
    if settings is not None and verify:
        try:
            proof = _proof(settings)
        except ConfigurationError as error:
            problems += error.problems
    return Report(
        account=mask("account", settings.account_sid) if settings else None,
        key=mask("key", settings.api_key) if settings else None,
        source=settings.source if settings else None,
        version=settings.version if settings else None,
        kind=(proof and proof.kind) or (settings.key_type if settings else None),
        verified=proof is not None if verify else None,
        sinks=sinks,
        problems=for_account(faults_first(problems), account),
        emulator=_emulator(),
        sources=_sources(trace, account) if sources else None,
    )


def examine_webhooks(*, account: str | None = None) -> Report:
    """Return the report on what the webhooks of *account* are verified with."""
    sinks = tuple((sink.name, sink.state, sink.detail) for sink in install(strict=False))
    problems = [*_sink_problems(sinks), *_unknown_switches()]
    settings: WebhookSettings | None = None
    try:
        settings = WebhookSettings(_account=account)
        problems += settings.warnings
    except ConfigurationError as error:
        problems += error.problems
    problems += _tracked_files(account, signing_references)
    return Report(
        account=None,
        key=None,
        source=settings.source if settings else None,
        version=settings.version if settings else None,
        kind=None,
        verified=None,
        sinks=sinks,
        problems=for_account(faults_first(problems), account),
        webhooks=_secrets_of(settings) if settings else None,
    )


def _secrets_of(settings: WebhookSettings) -> WebhookSecrets:
    secrets = settings.secrets()
    return WebhookSecrets(
        len(secrets.auth_tokens), len(secrets.shared_keys), shown_url(settings.public_url)
    )


def _sources(trace: Trace, account: str | None) -> Sources:
    found = tuple(
        Source(_SETTINGS.get(name, name), value.place, version)
        for name, (value, version) in trace.fields.items()
    )
    missing = [
        Source(_SETTINGS.get(name, name), None, None)
        for name in ("account_sid", *PAIR)
        if name not in trace.fields
    ]
    asked = [_tried(each) for each in trace.asked]
    try:
        chain = references(account, os.environ)
    except ConfigurationError:  # among the problems already
        chain = ()
    later = [Tried(str(ref), ref.place, "not asked") for ref in chain[len(asked) :]]
    left_out = [
        Tried(f"{attempt.place}:{attempt.name}", "the default", "not asked", attempts=(attempt,))
        for attempt in passed_over(account, os.environ)
    ]
    return Sources((*found, *missing), (*asked, *later, *left_out))


def _tried(asked: Asked) -> Tried:
    tried = Tried(str(asked.reference), asked.reference.place, "broken")
    if isinstance(asked.answer, Found):
        record = asked.answer.record
        whole = all(name in record.fields for name in PAIR)
        return tried._replace(outcome="found" if whole else "half", version=record.version)
    if isinstance(asked.answer, Absent):
        version, attempts = asked.answer.version, asked.answer.attempts
        return tried._replace(outcome="absent", version=version, attempts=attempts)
    return tried._replace(codes=tuple(dict.fromkeys(p.code for p in asked.problems)))


def _emulator() -> str | None:
    try:
        return emulator_url()
    except ConfigurationError:  # reported by the settings already
        return None


def _unknown_switches() -> list[Problem]:
    """Return a warning for the names that look like ours, but that nothing reads."""
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(_OURS) and name not in _SWITCHES and not name.startswith(_OWN_PLACES)
    )
    known = {spelling for field in SIGNING.fields for spelling in spellings(field.name, None)}
    unknown += sorted(n for n in os.environ if n.startswith(_OF_WEBHOOKS) and n not in known)
    unknown += [name for name in (f"{BACKEND_VARIABLE}_WEBHOOK",) if name in os.environ]
    if not unknown:
        return []
    return [
        Problem(
            code="ST222",
            summary="The environment has a name of ours that nothing reads.",
            found_in=tuple(f"env {name}" for name in unknown),
            fix=f"Correct the name, or remove it. Names that are read: {_OURS}BACKEND, "
            f"{_OURS}BACKEND_NAME for get_client(NAME), {WEBHOOK_BACKEND_VARIABLE}, {_OURS}ENV, "
            f"{_OURS}BOOT, {_OURS}REDACT, {_OURS}EMULATOR, {_OURS}FINGERPRINT_KEY.",
            severity="warning",
        )
    ]


def _proof(settings: TwilioSettings) -> KeyProof:
    key = settings.credentials()
    store = CredentialStore(key)
    client = TwilioClient.from_store(store, region=settings.region, edge=settings.edge)
    return prove(client, key, validation_url=settings.validation_url)


def _tracked_files(
    account: str | None,
    chain_of: Callable[[str | None, Mapping[str, str]], Sequence[Reference]] = references,
) -> list[Problem]:
    """Return a fault for each ``.env`` of the chain that git tracks, a warning if it may."""
    try:
        chain = chain_of(account, os.environ)
    except ConfigurationError:  # reported by the settings already
        return []
    paths = dict.fromkeys(
        Path(ref.location or DEFAULT_PATH) for ref in chain if ref.scheme == "dotenv"
    )
    problems = []
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - False if not allowed to look
            continue
        tracked = worktree.is_tracked(path)
        if tracked:
            problems.append(_tracked(path))
        elif tracked is None:
            problems.append(_perhaps_tracked(path))
    return problems


def _tracked(path: Path) -> Problem:
    return Problem(
        code="ST309",
        summary="git tracks the .env file; the next push publishes the secret.",
        found_in=(str(path),),
        fix=f"git rm --cached {path}, add it to .gitignore and commit.\n"
        "If it was ever pushed, the key is known: make a new one (safetwilio init --replace) "
        "and delete the old one in the Console.",
    )


def _perhaps_tracked(path: Path) -> Problem:
    return Problem(
        code="ST309",
        summary="It is not known whether git tracks the .env file.",
        found_in=(f"{path} (it lies in a git work tree, but git does not answer)",),
        fix="Install git, or run this as the user who owns the work tree: "
        f"git ls-files --error-unmatch {path}\n"
        "That must fail; a file that git lists is published by the next push.",
        severity="warning",
    )


def _sink_problems(sinks: tuple[tuple[str, str, str], ...]) -> list[Problem]:
    if all(state == "off" for _, state, _ in sinks):  # install() has just run
        return [_redaction_is_off()]
    return [
        Problem(
            code="ST701",
            summary=f"The redaction of {name} did not pass its self-test.",
            found_in=(f"{state}: {detail}",),
            fix="Update safetwilio; until then keep secrets out of that sink's reach, and report "
            "the versions involved.",
        )
        for name, state, detail in sinks
        if state in _UNSOUND
    ]


def _redaction_is_off() -> Problem:
    return Problem(
        code="ST704",
        summary="Redaction is switched off: secrets are not masked in logs and Sentry events.",
        found_in=(f"env {SWITCH}",),
        fix=f"Unset {SWITCH}.",
        severity="warning",
    )
