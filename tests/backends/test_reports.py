"""Must show: every report on a backend's page is what a program says today.

The files of the backends are one for each, so that they run beside each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

import pytest
import reports
from reports import Page, Report

from support import leaks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.mark.timeout(300)
class ReportsOf:
    """What holds on the *page* of any backend; *codes* are those that its reports name first."""

    page: ClassVar[Page]
    codes: ClassVar[Mapping[str, str]]
    reports: ClassVar[tuple[Report, ...]]

    @classmethod
    def setup_class(cls) -> None:
        """Make the reports once: most of them start a Python."""
        cls.reports = cls.page.all_reports()

    def test_the_page_shows_what_the_program_says(self) -> None:
        """If not, the command of the backend's reports writes it anew."""
        _, mark, shown = self.page.path.read_text(encoding="utf-8").partition(self.page.mark)

        assert mark
        assert shown == self.page.section(self.reports)

    def test_each_names_its_code_and_a_fix(self) -> None:
        """Only the first code counts where a report names several."""
        found = {r.name: re.findall(r"^\[(ST\d{3})\]", r.text, re.MULTILINE) for r in self.reports}

        assert {name: codes[0] for name, codes in found.items()} == self.codes
        assert all("\n  Fix: " in report.text for report in self.reports)

    def test_none_shows_a_value(self) -> None:
        """Neither whole, nor in part, nor in base64."""
        for report in self.reports:
            assert leaks(report.text, report.values) == [], report.name


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(reports, "DOCS", tmp_path)
    said = "Traceback:\n  ...\nsafetwilio.errors.BackendAbsent: nothing there  \n\n[ST104] x\n"
    writer = reports.Writer(tmp_path)
    writer.add("Missing", "There is nothing.", "some-where:", said)
    made = Page("some-where", lambda: tuple(writer.reports))
    made.path.write_text(f"Prose.\n\n{made.mark}\nWhat it said last year.\n", encoding="utf-8")
    return made


def test_the_command_writes_below_the_mark(page: Page) -> None:
    page.write()

    assert page.path.read_text(encoding="utf-8") == (
        "Prose.\n\n<!-- Below: written by tests/backends/some_where_reports.py -->\n\n"
        "### Missing\n\nThere is nothing.\n\n```console\n"
        "$ SAFETWILIO_BACKEND='some-where:' python -c 'from safetwilio import client'\n"
        "safetwilio.errors.BackendAbsent: nothing there\n\n[ST104] x\n```\n"
    )


def test_a_page_that_shows_something_else_fails(page: Page) -> None:
    checks = type("TestReports", (ReportsOf,), {"page": page})
    checks.setup_class()
    with pytest.raises(AssertionError):
        checks().test_the_page_shows_what_the_program_says()

    page.write()

    checks().test_the_page_shows_what_the_program_says()
