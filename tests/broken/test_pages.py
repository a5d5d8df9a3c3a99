"""Must show 3: each broken configuration, run anew, says what its committed page says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import write_pages
from configurations import CONFIGURATIONS

from support import leaks

# The first test of a run starts one process for each configuration.
pytestmark = pytest.mark.timeout(900)

if TYPE_CHECKING:
    from situations import Configuration

FOLDER = write_pages.PAGES
each = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: c.name)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, write_pages.Outcome]:
    """Run all of them once, each in a process of its own."""
    return write_pages.run_all()


def test_there_are_at_least_thirty() -> None:
    assert len({c.name for c in CONFIGURATIONS}) == len(CONFIGURATIONS) >= 30
    assert len({code for c in CONFIGURATIONS for code in c.codes}) >= 30


def test_the_folder_holds_these_pages_and_no_others() -> None:
    expected = {f"{c.name}.md" for c in CONFIGURATIONS} | {"index.md"}

    assert {path.name for path in FOLDER.iterdir()} == expected


@each
def test_page_is_what_the_process_prints(
    configuration: Configuration, outcomes: dict[str, write_pages.Outcome]
) -> None:
    page = (FOLDER / f"{configuration.name}.md").read_text(encoding="utf-8")

    assert page == write_pages.pages(outcomes)[f"{configuration.name}.md"]


def test_index_lists_all(outcomes: dict[str, write_pages.Outcome]) -> None:
    page = (FOLDER / "index.md").read_text(encoding="utf-8")

    assert page == write_pages.pages(outcomes)["index.md"]


@each
def test_report_names_every_code_and_a_fix_for_each(
    configuration: Configuration, outcomes: dict[str, write_pages.Outcome]
) -> None:
    outcome = outcomes[configuration.name]

    assert re.findall(r"^(?:\S+ )?\[(ST\d{3})", outcome.report, re.MULTILINE) == [
        *configuration.codes
    ]
    if configuration.codes != ("ST904",):  # which is one sentence
        assert outcome.report.count("\n  Fix: ") == len(configuration.codes)


@each
def test_process_stops_exactly_when_it_should(
    configuration: Configuration, outcomes: dict[str, write_pages.Outcome]
) -> None:
    assert outcomes[configuration.name].status == (0 if configuration.starts else 1)


@each
def test_nothing_printed_holds_a_value(
    configuration: Configuration, outcomes: dict[str, write_pages.Outcome]
) -> None:
    """The whole stderr, with the traceback: no eight characters of any credential."""
    outcome = outcomes[configuration.name]

    assert leaks(outcome.stderr, outcome.values) == []


@each
def test_no_chained_exception_stands_before_the_report(
    configuration: Configuration, outcomes: dict[str, write_pages.Outcome]
) -> None:
    assert outcomes[configuration.name].stderr.count("Traceback") == (not configuration.starts)


def test_values_are_looked_for_at_all(outcomes: dict[str, write_pages.Outcome]) -> None:
    """A check that finds no values to look for would prove nothing."""
    without = {name for name, outcome in outcomes.items() if not outcome.values}

    assert without == {"nothing-set", "example-from-the-documentation", "used-in-an-image-build"}
