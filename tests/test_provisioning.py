"""Making, keeping and proving a key: the order of things, and every way it can end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr

from safetwilio import redaction
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.locate import parse
from safetwilio.errors import (
    AccountOperationError,
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    InvalidCredentials,
)
from safetwilio.problems import Problem
from safetwilio.processes import service_of
from safetwilio.provisioning import Provisioned, provision, require_account_sid
from safetwilio.redaction import registry as registry_module
from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.faults import drop, reset, status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROOF = "GET */Messages.json"


class Place:
    """A writable backend that notes what happens to it, and fails if it is told to."""

    def __init__(self, failure: BaseException | None = None) -> None:
        """Fail to save with *failure*, if given."""
        self.failure = failure
        self.fields: Mapping[str, SecretStr] = {}
        self.account: str | None = ""
        self.replaces: str | None = "not asked"

    def require_writable(self) -> None:
        """Say yes."""

    def save(
        self, fields: Mapping[str, SecretStr], *, account: str | None, replaces: str | None = None
    ) -> str:
        """Keep *fields*."""
        if self.failure is not None:
            raise self.failure
        self.fields, self.account, self.replaces = fields, account, replaces
        return "the place"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with EmulatorServer() as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        yield server.emulator
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)


class Steps:
    """What was said, and how long was waited."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.said: list[str] = []
        self.waited: list[float] = []


@pytest.fixture
def steps() -> Steps:
    return Steps()


def made_by(emulator: Emulator, place: Place, steps: Steps, **options: str) -> Provisioned:
    account = emulator.account
    return provision(
        account.sid, SecretStr(account.auth_token), place,
        **{"service": "app", **options}, say=steps.said.append, pause=steps.waited.append,
    )  # fmt: skip


def names(emulator: Emulator) -> list[str]:
    keys = [key for _, key in emulator.account.keys.newest_first()]
    return [key.friendly_name for key in keys if key.friendly_name != "seeded"]


def test_the_key_is_made_kept_and_proven(emulator: Emulator, steps: Steps) -> None:
    place = Place()
    done = made_by(emulator, place, steps, replaces="v7")
    assert names(emulator) == [done.name]
    assert place.replaces == "v7"
    assert place.fields["account_sid"].get_secret_value() == emulator.account.sid
    sid = place.fields["key_sid"].get_secret_value()
    key = emulator.account.keys.get(sid)
    assert key is not None
    assert place.fields["secret"].get_secret_value() == key.secret
    assert done.key == f"[TWILIO:key:{redaction.fingerprint(sid)}]"
    assert (done.place, done.kind, done.leftovers) == ("the place", "standard", ())
    assert steps.waited == []
    assert key.secret not in repr(done) + str(steps.said)
    first_three = emulator.requests[:3]  # what follows is how the kind is found out
    assert [(r.method, r.path.rpartition("/")[2], r.status) for r in first_three] == [
        ("GET", "Keys.json", 200),
        ("POST", "Keys.json", 201),
        ("GET", "Messages.json", 200),
    ]


def test_a_key_that_twilio_does_not_know_yet_is_asked_about_again(
    emulator: Emulator, steps: Steps
) -> None:
    emulator.faults.add(status(401), match=PROOF, times=2)
    done = made_by(emulator, Place(), steps)
    assert done.kind == "standard"
    assert steps.waited == [1, 2]


def test_a_key_that_twilio_never_knows_is_reported_and_stays(
    emulator: Emulator, steps: Steps
) -> None:
    emulator.faults.add(status(401), match=PROOF, times=9)
    with pytest.raises(InvalidCredentials) as caught:
        made_by(emulator, Place(), steps)
    assert caught.value.code == "ST320"
    assert steps.waited == [1, 2, 3]
    assert steps.said[-1] == (
        "The key stays in the place; to ask again later: safetwilio doctor --verify"
    )
    assert len(names(emulator)) == 1


@pytest.mark.parametrize("fault", [status(503), drop(applied=True), reset(applied=False)])
def test_no_answer_to_the_proof_is_told_apart_and_not_waited_for(
    emulator: Emulator, steps: Steps, fault: object
) -> None:
    emulator.faults.add(fault, match=PROOF)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable) as caught:
        made_by(emulator, Place(), steps)
    assert caught.value.code == "ST321"
    assert steps.waited == []


def test_the_key_belongs_to_the_program_s_region(
    emulator: Emulator, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    made_by(emulator, Place(), steps)
    assert {request.host for request in emulator.requests} == {"api.dublin.ie1.twilio.com"}


def test_a_named_account_has_a_region_of_its_own(
    emulator: Emulator, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    place = Place()
    made_by(emulator, place, steps, account="marketing")
    assert place.account == "marketing"
    assert {request.host for request in emulator.requests} == {"api.twilio.com"}
    monkeypatch.setenv("TWILIO_MARKETING_REGION", "au1")
    made_by(emulator, place, steps, account="marketing")
    assert emulator.requests[-1].host == "api.au1.twilio.com"


@pytest.mark.parametrize(("name", "value"), [("REGION", "a.b/"), ("EDGE", "x y")])
def test_a_region_that_cannot_be_one_stops_it(
    emulator: Emulator, steps: Steps, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"TWILIO_{name}", value)
    with pytest.raises(InvalidCredentials) as caught:
        made_by(emulator, Place(), steps)
    assert caught.value.code == "ST213"
    assert not emulator.requests


@pytest.mark.parametrize("failure", [BackendError([Problem("ST307", "full", "fix")]), OSError()])
def test_a_key_that_cannot_be_kept_is_deleted(
    emulator: Emulator, steps: Steps, failure: Exception
) -> None:
    with pytest.raises(type(failure)) as caught:
        made_by(emulator, Place(failure), steps)
    assert caught.value is failure
    assert names(emulator) == []
    assert steps.said[-1] == "The key could not be kept, so it was deleted again"


@pytest.mark.parametrize(
    ("failure", "reason"), [(BackendError([Problem("ST307", "", "")]), "ST307"), (OSError(), "OSE")]
)
def test_a_key_that_cannot_be_deleted_either_is_named(
    emulator: Emulator, steps: Steps, failure: Exception, reason: str
) -> None:
    emulator.faults.add(status(500), match="DELETE *")
    with pytest.raises(AccountOperationError) as caught:
        made_by(emulator, Place(failure), steps)
    assert caught.value.code == "ST614"
    assert f"({reason}" in str(caught.value)
    (name,) = names(emulator)
    assert f"delete the key called {name} in the Console" in str(caught.value)
    assert caught.value.__context__ is None


def test_a_key_that_is_gone_already_needs_no_deletion(emulator: Emulator, steps: Steps) -> None:
    emulator.faults.add(status(404), match="DELETE *")
    with pytest.raises(OSError, match="full"):
        made_by(emulator, Place(OSError("full")), steps)


def test_an_interruption_says_which_key_may_exist(emulator: Emulator, steps: Steps) -> None:
    with pytest.raises(KeyboardInterrupt):
        made_by(emulator, Place(KeyboardInterrupt()), steps)
    (name,) = names(emulator)
    assert f"a key called {name} may exist" in steps.said[-1]


def test_nothing_is_made_if_it_cannot_be_prepared(emulator: Emulator) -> None:
    def fail() -> None:
        raise PermissionError

    account = emulator.account
    with pytest.raises(PermissionError):
        provision(
            account.sid, SecretStr(account.auth_token), Place(), service="app", prepare=fail
        )  # fmt: skip
    assert names(emulator) == []


def test_the_keys_of_this_service_and_no_other_are_listed(emulator: Emulator, steps: Steps) -> None:
    first = made_by(emulator, Place(), steps)
    made_by(emulator, Place(), steps, service="app2")
    again = made_by(emulator, Place(), steps)
    assert [key.name for key in again.leftovers] == [first.name]


def test_without_an_ear_it_works_the_same(emulator: Emulator, tmp_path: Path) -> None:
    account = emulator.account
    backend = DotenvBackend(parse(f"dotenv:{tmp_path}/.env", place="test")[0])
    done = provision(account.sid, SecretStr(account.auth_token), backend, service="app")
    assert dotenv_values(done.place)["TWILIO_ACCOUNT_SID"] == account.sid


def test_both_faults_of_what_was_given_are_told_at_once(emulator: Emulator) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        provision("AC1", SecretStr("1"), Place(), service="app")
    assert [problem.code for problem in caught.value.problems] == ["ST201", "ST220"]
    assert not emulator.requests
    assert caught.value.__context__ is None


@pytest.mark.usefixtures("emulator")
def test_an_account_sid_alone_can_be_checked() -> None:
    require_account_sid("AC5afe0000" + os.urandom(12).hex())
    with pytest.raises(ConfigurationError) as caught:
        require_account_sid("AC" + os.urandom(16).hex())
    assert caught.value.code == "ST215"


def test_a_service_is_called_as_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service_of("/srv/billing/") == "billing"
    assert service_of("/") == "app"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert service_of() == "gone"
    gone.rmdir()
    assert service_of() == "app"


def test_names_differ_and_accounts_are_kept_apart(emulator: Emulator, steps: Steps) -> None:
    first = made_by(emulator, Place(), steps)
    named = made_by(emulator, Place(), steps, account="marketing", service="x" * 90)
    assert made_by(emulator, Place(), steps).name != first.name
    assert named.leftovers == ()
    assert "@marketing/" in named.name
    assert len(named.name) <= 64


def test_a_placeholder_is_no_malformed_token() -> None:
    with pytest.raises(InvalidCredentials) as caught:
        provision("AC1", SecretStr("your_auth_token"), Place(), service="app")
    assert [problem.code for problem in caught.value.problems] == ["ST201", "ST208"]
