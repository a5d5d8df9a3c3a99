"""The exception tree: which class for which problems, pickling, and what must not be caught."""

from __future__ import annotations

import pickle

import pytest

from safetwilio import errors
from safetwilio.errors import (
    AccountOperationError,
    BackendDenied,
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    InvalidCredentials,
    MasterTokenInUse,
    MissingCredentials,
    MissingExtra,
    RedactionError,
    RefusedBeforeSending,
    SafeTwilioError,
    SignatureMismatch,
    SignerNotAllowed,
    UnsignedRequest,
    UsageError,
    WebhookError,
    combined,
    configuration_error,
)
from safetwilio.problems import Problem, render

REPORTS = (
    ConfigurationError,
    MissingCredentials,
    InvalidCredentials,
    BackendError,
    BackendUnavailable,
    BackendDenied,
    MasterTokenInUse,
    MissingExtra,
)
SENTENCES = (
    SafeTwilioError,
    RedactionError,
    RefusedBeforeSending,
    AccountOperationError,
    UsageError,
    WebhookError,
    UnsignedRequest,
    SignatureMismatch,
    SignerNotAllowed,
)


def problem(code: str, severity: str = "fault") -> Problem:
    return Problem(code=code, summary=f"About {code}.", fix="Do it.", severity=severity)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["ST101"], MissingCredentials),
        (["ST201", "ST101"], InvalidCredentials),
        (["ST302"], BackendError),
        (["ST501"], MasterTokenInUse),
        (["ST101", "ST501"], MasterTokenInUse),
        (["ST901"], ConfigurationError),
    ],
)
def test_class_is_that_of_the_first_fault_and_the_token_wins(
    codes: list[str], kind: type[ConfigurationError]
) -> None:
    assert type(configuration_error([problem(code) for code in codes])) is kind


def test_warnings_do_not_choose_the_class() -> None:
    error = configuration_error([problem("ST502", "warning"), problem("ST101")])

    assert type(error) is MissingCredentials
    assert error.code == "ST101"


@pytest.mark.parametrize(
    ("codes", "broken", "kind"),
    [
        (["ST303"], BackendDenied, BackendDenied),
        (["ST303", "ST213"], BackendUnavailable, BackendUnavailable),
        (["ST216", "ST303"], BackendDenied, InvalidCredentials),
        (["ST303", "ST501"], BackendDenied, MasterTokenInUse),
        (["ST901"], MissingExtra, MissingExtra),
    ],
)
def test_what_a_backend_raised_is_kept_where_it_leads(
    codes: list[str], broken: type[ConfigurationError], kind: type[ConfigurationError]
) -> None:
    """``except BackendDenied`` around the boot must see what the backend said."""
    assert type(configuration_error([problem(code) for code in codes], broken)) is kind


def test_combined_has_all_problems_and_the_first_class() -> None:
    error = combined([BackendDenied([problem("ST303")]), BackendError([problem("ST305")])])

    assert type(error) is BackendDenied
    assert [p.code for p in error.problems] == ["ST303", "ST305"]


@pytest.mark.parametrize("kind", REPORTS)
def test_report_is_the_whole_text(kind: type[ConfigurationError]) -> None:
    problems = (problem("ST101"), problem("ST203"))
    error = kind(problems)

    assert str(error) == render(problems)
    assert error.args == (render(problems),)
    assert error.code == "ST101"
    assert error.url.endswith("/errors.html#st101")


@pytest.mark.parametrize("kind", REPORTS)
def test_reports_survive_pickling(kind: type[ConfigurationError]) -> None:
    error = pickle.loads(pickle.dumps(kind([problem("ST502", "warning"), problem("ST101")])))  # noqa: S301

    assert type(error) is kind
    assert [p.code for p in error.problems] == ["ST502", "ST101"]
    assert error.code == "ST101"


@pytest.mark.parametrize("kind", SENTENCES)
def test_sentences_survive_pickling(kind: type[SafeTwilioError]) -> None:
    error = pickle.loads(pickle.dumps(kind("It is so.", code="ST999")))  # noqa: S301

    assert (type(error), str(error), error.code) == (kind, "[ST999] It is so.", "ST999")


@pytest.mark.parametrize("kind", SENTENCES)
def test_every_sentence_has_a_code_and_a_page(kind: type[SafeTwilioError]) -> None:
    error = kind("It is so.")

    assert error.code == kind.code
    assert str(error) == f"[{kind.code}] It is so."
    assert error.url.endswith(f"#{kind.code.lower()}")


def test_codes_of_classes_are_distinct_but_for_the_base() -> None:
    own = [kind.code for kind in SENTENCES[1:]]

    assert len(set(own)) == len(own)


@pytest.mark.parametrize("kind", [k for k in vars(errors).values() if isinstance(k, type)])
def test_pydantic_would_not_swallow_it(kind: type) -> None:
    """Pydantic wraps ValueError and AssertionError, and prints the input."""
    assert not issubclass(kind, (ValueError, AssertionError))


@pytest.mark.parametrize("kind", [k for k in REPORTS if k is not MissingExtra])
def test_import_statement_would_not_swallow_it(kind: type) -> None:
    """AttributeError and ImportError turn into "cannot import name"."""
    assert not issubclass(kind, (AttributeError, ImportError))


def test_missing_extra_is_an_import_error_too() -> None:
    with pytest.raises(ImportError):
        raise MissingExtra([problem("ST901")])
