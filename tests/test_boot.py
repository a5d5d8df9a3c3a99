"""The state of a process: configured, booted once, looked at, forgotten."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import safetwilio
from safetwilio import TwilioSettings, _boot
from safetwilio.clients import TwilioClient, probe
from safetwilio.clients.probe import KeyProof
from safetwilio.credentials import mask
from safetwilio.errors import (
    BackendUnavailable,
    InvalidCredentials,
    MasterTokenInUse,
    MissingCredentials,
    UsageError,
)
from safetwilio.problems import Problem
from support import Key, assert_silent, auth_token, leaks, new_key, refused, write

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 32


def settings_of(key: Key, **more: str) -> TwilioSettings:
    return TwilioSettings(account_sid=key.account, api_key=key.sid, api_secret=key.secret, **more)


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Let Twilio's answer be a kind of key, or an error, without asking."""

    def answer(what: object) -> None:
        def prove(*_: object, **__: object) -> KeyProof:
            if isinstance(what, Exception):
                raise what
            return KeyProof(what)  # type: ignore[arg-type]

        monkeypatch.setattr(probe, "prove", prove)

    return answer


def test_boot_loads_and_says_what(configured: Key) -> None:
    assert not safetwilio.health().booted
    health = safetwilio.boot()
    (account,) = health.accounts

    assert health.booted
    assert account.name == "default"
    assert account.account == mask("account", configured.account)
    assert account.key == mask("key", configured.sid)
    assert (account.source, account.version, account.key_type) == ("env", None, None)
    assert account.age >= 0
    assert account.warnings == ()
    assert leaks(repr(health), configured) == []


def test_health_is_ok_when_booted_and_every_sink_is_sound(configured: Key) -> None:
    from safetwilio.redaction import SinkHealth

    assert not safetwilio.health().ok
    health = safetwilio.boot()
    assert health.ok
    for state in ("failed", "fallback"):
        assert not health._replace(sinks=(SinkHealth("logging", state, ""),)).ok  # type: ignore[arg-type]
    for state in ("waiting", "off"):
        assert health._replace(sinks=(SinkHealth("sentry", state, ""),)).ok  # type: ignore[arg-type]
    assert configured


def test_age_grows_from_loading_and_never_runs_backwards(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    safetwilio.boot()
    loaded = _boot.get_account(None).store.loaded_at
    for now, age in ((loaded + 90, 90), (loaded - 90, 0)):
        monkeypatch.setattr(_boot.time, "time", lambda now=now: now)
        assert safetwilio.health().accounts[0].age == pytest.approx(age)
    assert configured


def test_configured_settings_are_used(key: Key) -> None:
    safetwilio.configure(settings=settings_of(key))

    assert safetwilio.client.account_sid == key.account
    assert safetwilio.health().accounts[0].source == "arguments"


def test_configure_for_an_account(configured: Key, key: Key) -> None:
    other = new_key()
    safetwilio.configure(settings_of(other), account="Marketing")

    assert safetwilio.get_client("marketing").account_sid == other.account
    assert safetwilio.client.account_sid == configured.account
    assert key


@pytest.mark.usefixtures("configured")
def test_configure_after_the_boot_is_an_error(key: Key) -> None:
    safetwilio.boot()
    with pytest.raises(UsageError) as error:
        safetwilio.configure(settings_of(key))
    assert error.value.code == "ST903"
    safetwilio.configure(settings_of(key), account="marketing")  # which has not booted

    safetwilio.reset()
    safetwilio.configure(settings_of(key))
    assert safetwilio.client.account_sid == key.account


def test_configure_after_a_boot_that_failed_is_none(key: Key) -> None:
    refused(safetwilio.boot)
    safetwilio.configure(settings_of(key))

    assert safetwilio.boot().booted


def test_reset_forgets_what_was_configured(key: Key) -> None:
    safetwilio.configure(settings_of(key))
    safetwilio.boot()
    safetwilio.reset()

    assert safetwilio.health().accounts == ()
    assert type(refused(safetwilio.boot)) is MissingCredentials


def test_failed_boot_leaves_nothing_and_the_next_one_looks_again(
    monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    refused(safetwilio.boot)
    assert not safetwilio.health().booted
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)

    assert safetwilio.boot().booted


@pytest.mark.parametrize("fails", [False, True])
def test_one_build_under_many_threads(
    configured: Key,
    monkeypatch: pytest.MonkeyPatch,
    fails: bool,  # noqa: FBT001
) -> None:
    """All threads arrive together; the clients that are really made are counted."""
    if fails:
        monkeypatch.delenv("TWILIO_API_SECRET")
    built: list[object] = []
    start = TwilioClient._start

    def counting(self: TwilioClient, *args: object, **kwargs: object) -> None:
        built.append(self)
        start(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(TwilioClient, "_start", counting)
    barrier, seen = threading.Barrier(THREADS), []

    def use() -> None:
        barrier.wait()
        try:
            from safetwilio import client

            seen.append((id(client), client.account_sid))
        except safetwilio.errors.MissingCredentials as error:  # type: ignore[attr-defined]
            seen.append((error.code, None))

    import safetwilio.errors

    threads = [threading.Thread(target=use) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == THREADS
    if fails:
        assert set(seen) == {("ST101", None)}
        assert built == []
    else:
        assert seen == [(id(safetwilio.client), configured.account)] * THREADS
        assert len(built) == 1


@pytest.mark.parametrize("value", ["off", "OFF", "0", "false", " no "])
def test_switched_off_an_import_works_and_the_first_use_does_not(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", value)
    from safetwilio import client

    assert isinstance(client, TwilioClient)
    assert not safetwilio.boot(verify=True, require="restricted").booted
    for use in (lambda: client.messages, lambda: safetwilio.get_client("marketing").messages):
        with pytest.raises(UsageError) as error:
            use()
        assert error.value.code == "ST904"


@pytest.mark.parametrize("value", ["", "on", "1", "true"])
def test_not_switched_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", value)

    assert type(refused(safetwilio.boot)) is MissingCredentials


def test_client_imported_while_off_works_later(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    from safetwilio import client

    monkeypatch.delenv("SAFETWILIO_BOOT")
    assert client.account_sid == configured.account


def test_warnings_are_logged_once(
    configured: Key, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", auth_token())
    for _ in range(3):
        safetwilio.boot()
        assert safetwilio.client.account_sid == configured.account
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]

    assert len(warnings) == 1
    assert warnings[0].getMessage().startswith("[ST502 warning] ")
    assert [w.code for w in safetwilio.health().accounts[0].warnings] == ["ST502"]


def test_log_says_which_key_from_where_by_fingerprint(
    key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    write(Path(".env"), key.dotenv())
    caplog.set_level(logging.INFO)
    safetwilio.boot()
    (record,) = [r for r in caplog.records if r.levelno == logging.INFO]
    message = record.getMessage()

    assert mask("key", key.sid) in message
    assert "from dotenv:.env, version " in message
    assert leaks(message, key) == []


def test_boot_installs_redaction(configured: Key, caplog: pytest.LogCaptureFixture) -> None:
    safetwilio.boot()
    logging.getLogger("app").warning("the secret is %s", configured.secret)

    assert leaks(caplog.text, [configured.secret]) == []


@pytest.mark.parametrize("kind", ["standard", "restricted", None])
@pytest.mark.usefixtures("configured")
def test_verified_key_says_its_kind(kind: str | None, proofs: Callable[[object], None]) -> None:
    proofs(kind)

    assert safetwilio.boot(verify=True).accounts[0].key_type == kind
    assert safetwilio.boot().accounts[0].key_type == kind


@pytest.mark.usefixtures("configured")
def test_verified_main_key_is_refused_and_forgotten(proofs: Callable[[object], None]) -> None:
    proofs("main")
    error = refused(lambda: safetwilio.boot(verify=True))

    assert type(error) is MasterTokenInUse
    assert error.code == "ST503"
    assert not safetwilio.health().booted
    with safetwilio.break_glass(reason="a test"):
        assert safetwilio.boot(verify=True).accounts[0].key_type == "main"


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("failure", "stays"), [(InvalidCredentials, False), (BackendUnavailable, True)]
)
def test_dead_key_is_forgotten_and_one_that_could_not_be_proven_is_not(
    failure: type[InvalidCredentials | BackendUnavailable],
    stays: bool,  # noqa: FBT001
    proofs: Callable[[object], None],
) -> None:
    """A key that Twilio refuses must not serve the next import; the network is another matter."""
    proofs(failure([Problem(code="ST320", summary="s", fix="f")]))
    with pytest.raises(failure):
        safetwilio.boot(verify=True)

    assert safetwilio.health().booted is stays


@pytest.mark.parametrize("what", ["a dead key", "main", "no answer"])
def test_what_a_proof_finds_is_said_of_its_account(
    key: Key, monkeypatch: pytest.MonkeyPatch, proofs: Callable[[object], None], what: str
) -> None:
    problems = [Problem(code="ST320", summary="s", fix="Make one: safetwilio init --replace")]
    answers = {
        "a dead key": InvalidCredentials(problems),
        "no answer": BackendUnavailable(problems),
    }
    for name, value in key.environment("marketing").items():
        monkeypatch.setenv(name, value)
    safetwilio.get_client("marketing")
    proofs(answers.get(what, "main"))
    error = refused(lambda: _boot._prove("marketing", _boot.get_account("marketing")))

    assert_silent(error, [key.secret])
    errors = [error]
    if what != "no answer":  # the account goes on refusing, with all that it said first
        errors.append(refused(lambda: safetwilio.get_client("marketing")))
    for each in errors:
        assert type(each) is type(error)
        assert each.account == "marketing"
        assert "safetwilio init --account marketing" in str(each)
        assert str(each).endswith("safetwilio doctor --account marketing")


def test_a_demand_is_said_of_its_account(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in key.environment("marketing").items():
        monkeypatch.setenv(name, value)
    booted = _boot.get_account("marketing")
    error = refused(lambda: _boot._require_restricted("marketing", booted))

    assert (error.code, error.account) == ("ST504", "marketing")
    assert refused(lambda: safetwilio.get_client("marketing")).account == "marketing"


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("kind", "good"), [("restricted", True), ("standard", False), (None, False)]
)
def test_restricted_key_can_be_required(
    kind: str | None,
    good: bool,  # noqa: FBT001
    proofs: Callable[[object], None],
) -> None:
    proofs(kind)
    if good:
        assert safetwilio.boot(require="restricted").booted
        return
    error = refused(lambda: safetwilio.boot(require="restricted"))
    assert type(error) is InvalidCredentials
    assert error.code == "ST504"
    assert (kind or "unknown") in str(error)
    assert not safetwilio.health().booted


def test_kind_that_the_document_says_is_not_asked_for(
    key: Key, proofs: Callable[[object], None]
) -> None:
    proofs(AssertionError("Twilio was asked"))
    safetwilio.configure(settings_of(key, key_type="restricted"))
    assert safetwilio.boot(require="restricted").accounts[0].key_type == "restricted"

    safetwilio.reset()
    safetwilio.configure(settings_of(key, key_type="standard"))
    assert refused(lambda: safetwilio.boot(require="restricted")).code == "ST504"


@pytest.mark.usefixtures("configured")
def test_a_demand_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        safetwilio.boot(require="Restricted")  # type: ignore[arg-type]
    assert error.value.code == "ST900"


def test_switched_off_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    safetwilio.boot()
    assert "SAFETWILIO_BOOT=off: nothing was loaded or verified" in caplog.text


def test_health_as_json(configured: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", auth_token())
    said = safetwilio.boot().as_dict()
    assert json.loads(json.dumps(said)) == said
    assert said["accounts"][0]["warnings"][0]["code"] == "ST502"
    assert leaks(str(said), configured) == []
