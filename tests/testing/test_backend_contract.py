"""The conformance suite can fail: a wrong backend for each rule, caught by exactly that rule."""

from __future__ import annotations

import re
from typing import Any

import pytest
from memory_backend import Contract, Good, Place, Reader, ReadOnly
from wrong_backends import (
    WAYS,
    CallsSilenceAbsent,
    ChecksThenWrites,
    CountsVersions,
    DroppedContext,
    DropsAccounts,
    DropsForeign,
    ForgetsTheSecret,
    HasNoVersion,
    IgnoresNothing,
    KnowsOneAccount,
    LogsWhatItWrites,
    MakesWhatIsGone,
    NeverReplaces,
    NotKnownToRedaction,
    OneVersionForAll,
    RaisesForAStranger,
    RaisesForNothing,
    RaisesItsOwn,
    ReadsTwice,
    SaysAnotherCode,
    SaysAnotherSource,
    SaysItWorks,
    SaysNotWhere,
    SaysTheSecret,
    Slow,
    Spoilt,
    SwallowsHalves,
    TakesAnyOption,
    WorksInAThread,
)

from safetwilio.testing.backends import BackendContract

RULES = sorted(name for name in dir(BackendContract) if name.startswith("test_"))
_READ_BACK = "test_what_is_written_is_read_back"
_STAYS = "test_another_version_stays"
_RACE = "test_of_two_writers_exactly_one_wins"
_SAID = "test_what_is_broken_is_said"
_SHOWN = "test_no_secret_is_shown"
_DECLARED = "test_what_is_not_supported_is_declared"
READING = {
    RaisesForNothing: {"test_nothing_there_is_absent"},
    SaysNotWhere: {"test_nothing_there_is_absent"},
    RaisesForAStranger: {"test_a_document_without_a_key_is_absent"},
    HasNoVersion: {"test_a_document_without_a_key_is_absent"},
    SwallowsHalves: {"test_half_a_pair_is_not_absent"},
    SaysAnotherSource: {"test_the_record_is_what_is_there"},
    KnowsOneAccount: {"test_a_named_account_has_names_of_its_own"},
    ReadsTwice: {"test_a_rotation_is_never_seen_half"},
    CountsVersions: {"test_the_version_tells_documents_apart"},
    OneVersionForAll: {"test_the_version_tells_documents_apart"},
    TakesAnyOption: {"test_an_option_that_nothing_reads_is_refused"},
    SaysAnotherCode: {_SAID},
    RaisesItsOwn: {_SAID, _SHOWN},  # what is not ours keeps its frames
    NotKnownToRedaction: {"test_what_is_read_is_known_to_redaction"},
    Slow: {"test_what_never_answers_fails_in_time"},
    CallsSilenceAbsent: {"test_what_never_answers_fails_in_time"},
    WorksInAThread: {"test_a_fork_is_survived"},
}
WRITING = {
    SaysItWorks: {"test_what_cannot_be_written_says_so_before"},
    ForgetsTheSecret: {
        _READ_BACK, _RACE, "test_another_account_stays", "test_the_version_that_was_seen_gives_way",
    },  # each rule that looks at what was written
    SaysTheSecret: {_READ_BACK},
    DropsForeign: {"test_what_is_not_ours_stays"},
    DropsAccounts: {"test_another_account_stays"},
    NeverReplaces: {"test_the_version_that_was_seen_gives_way"},
    MakesWhatIsGone: {_STAYS},
    IgnoresNothing: {_STAYS, _RACE},
    ChecksThenWrites: {_RACE},
    LogsWhatItWrites: {"test_a_write_shows_no_secret"},
    DroppedContext: {"test_a_write_shows_no_secret"},
}  # fmt: skip


def broken_rules(contract: type[Contract], **attributes: object) -> dict[str, str]:
    """Return the rules that the backend of *contract* breaks, and what is said of each."""
    broken = {}
    for rule in RULES:
        subject = type("Subject", (contract,), attributes)()
        subject.place = Place()
        try:
            getattr(subject, rule)()
        except pytest.skip.Exception:
            continue
        except pytest.fail.Exception as failure:
            broken[rule] = str(failure)
    return broken


def test_what_keeps_every_rule_passes() -> None:
    assert broken_rules(Contract) == {}
    assert broken_rules(ReadOnly) == {}


@pytest.mark.parametrize("kind", READING, ids=lambda kind: kind.__name__)
def test_a_wrong_reader_is_caught_by_its_rule(kind: type) -> None:
    assert broken_rules(ReadOnly, kind=kind).keys() == READING[kind]


@pytest.mark.parametrize("kind", WRITING, ids=lambda kind: kind.__name__)
def test_a_wrong_writer_is_caught_by_its_rule(kind: type) -> None:
    assert broken_rules(Contract, kind=kind).keys() == WRITING[kind]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_show_a_secret_is_found(way: str) -> None:
    kind = type("Kind", (Spoilt,), {"spoil": staticmethod(WAYS[way])})
    broken = broken_rules(ReadOnly, kind=kind)
    assert broken.keys() == {_SHOWN}
    assert way.strip() in broken[_SHOWN].partition("it stands in ")[2]


@pytest.mark.parametrize(
    ("contract", "attributes", "said"),
    [
        (ReadOnly, {"unsupported": {}}, "the hook contents() is given, or else writing is decl"),
        (ReadOnly, {"unsupported": {"writing": " "}}, "writing: say why not"),
        (ReadOnly, {"unsupported": {"reading": "x"}}, "not reading"),
        (ReadOnly, {"kind": Good}, "writing is declared unsupported if there is no"),
        (Contract, {"kind": Reader}, "writing is declared unsupported if there is no"),
        (Contract, {"unsupported": {"writing": "x"}}, "the hook contents() is given, or else"),
        (Contract, {"unsupported": {"unreachable": "x"}}, "the hook unreachable() is given, or"),
        (Contract, {"breakages": BackendContract.breakages}, "the hook breakages() is given"),
    ],
)
def test_what_is_missing_must_be_declared_and_truly(
    contract: type[Contract], attributes: dict[str, Any], said: str
) -> None:
    subject = type("Subject", (contract,), attributes)()
    subject.place = Place()
    with pytest.raises(pytest.fail.Exception, match=re.escape(said)):
        getattr(subject, _DECLARED)()


def test_a_version_that_is_declared_missing_must_be_missing() -> None:
    contract = type("NoVersion", (ReadOnly,), {})
    declared = {**ReadOnly.unsupported, "version": "x"}
    assert broken_rules(contract, unsupported=declared).keys() == {
        "test_the_version_tells_documents_apart"
    }


def test_every_rule_has_a_backend_that_breaks_it() -> None:
    shown = {_DECLARED, _SHOWN}
    assert set().union(shown, *READING.values(), *WRITING.values()) == set(RULES)


def test_what_is_declared_is_seen_in_the_report() -> None:
    subject = type("Subject", (ReadOnly,), {})()
    with pytest.raises(pytest.skip.Exception, match="writing is not supported: it reads"):
        subject.test_what_is_written_is_read_back()
