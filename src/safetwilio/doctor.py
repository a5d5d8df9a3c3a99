"""The boot report without starting the app, and what boot itself does not look at.

Boot must be fast and must not run other programs; the doctor may: it asks git whether a ``.env``
is tracked, tests every redaction sink, and on request proves the key against Twilio.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from safetwilio import worktree
from safetwilio.backends.dotenv import DEFAULT_PATH
from safetwilio.backends.locate import BACKEND_VARIABLE, references
from safetwilio.clients.probe import KeyProof, prove
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import mask
from safetwilio.errors import ConfigurationError
from safetwilio.policy import emulator_url
from safetwilio.problems import Problem, faults, faults_first, for_account
from safetwilio.redaction import SWITCH, install
from safetwilio.settings import TwilioSettings

_UNSOUND = frozenset({"failed", "fallback"})
_OURS = "SAFETWILIO_"
_SWITCHES = frozenset(
    f"{_OURS}{name}"
    for name in (
        *("BACKEND", "ADMIN_BACKEND", "BOOT", "REDACT", "ENV", "EMULATOR", "FINGERPRINT_KEY"),
        *("HEARTBEAT", "TWILIO_OAI", "SUITE_CACHE"),
    )
)


class Report(NamedTuple):
    """What the doctor found: the key in use (masked), its *kind* if known, and all problems.

    *verified* is whether Twilio accepted the key, ``None`` if it was not asked; *emulator* is the
    address that is asked instead of Twilio. Among *problems* faults come first.
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
        }


def examine(*, account: str | None = None, verify: bool = False) -> Report:
    """Return the report on *account*; with *verify* Twilio is asked about the key."""
    sinks = tuple((sink.name, sink.state, sink.detail) for sink in install())
    problems = [*_sink_problems(sinks), *_unknown_switches()]
    settings: TwilioSettings | None = None
    proof: KeyProof | None = None
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
    )


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
        if name.startswith(_OURS)
        and name not in _SWITCHES
        and not name.startswith(f"{BACKEND_VARIABLE}_")
    )
    if not unknown:
        return []
    return [
        Problem(
            code="ST222",
            summary="The environment has a SAFETWILIO_ name that nothing reads.",
            found_in=tuple(f"env {name}" for name in unknown),
            fix=f"Correct the name, or remove it. Names that are read: {_OURS}BACKEND, "
            f"{_OURS}BACKEND_NAME for get_client(NAME), {_OURS}ENV, {_OURS}BOOT, {_OURS}REDACT, "
            f"{_OURS}EMULATOR, {_OURS}FINGERPRINT_KEY.",
            severity="warning",
        )
    ]


def _proof(settings: TwilioSettings) -> KeyProof:
    key = settings.credentials()
    client = TwilioClient.from_store(lambda: key, region=settings.region, edge=settings.edge)
    return prove(client, key, validation_url=settings.validation_url)


def _tracked_files(account: str | None) -> list[Problem]:
    """Return a fault for each ``.env`` of the chain that git tracks, a warning if it may."""
    try:
        chain = references(account, os.environ)
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
