"""Must show: every report on the page of ``dotenv-vault:`` is what a program says today."""

from __future__ import annotations

import re

import dotenv_vault_reports
import pytest
from dotenv_vault_reports import Report

from support import leaks

CODES = {
    "No key": "ST331",
    "No key in it": "ST331",
    "Another environment": "ST334",
    "The wrong key": "ST334",
    "Several keys": "ST334",
    "Malformed": "ST333",
    "A value that refers to another": "ST333",
    "Half a pair": "ST101",
    "Missing": "ST104",
}


@pytest.fixture(scope="module")
def reports() -> tuple[Report, ...]:
    return dotenv_vault_reports.all_reports()


@pytest.mark.timeout(300)
def test_the_page_shows_what_the_program_says(reports: tuple[Report, ...]) -> None:
    text = dotenv_vault_reports.PAGE.read_text(encoding="utf-8")
    _, mark, shown = text.partition(dotenv_vault_reports.MARK)
    assert mark
    assert shown == f"\n{dotenv_vault_reports.section(reports)}"


def test_each_names_its_code_and_a_fix(reports: tuple[Report, ...]) -> None:
    found = {r.name: re.findall(r"^\[(ST\d{3})\]", r.text, re.MULTILINE) for r in reports}
    assert {name: codes[0] for name, codes in found.items()} == CODES
    assert all("\n  Fix: " in report.text for report in reports)


def test_none_shows_a_value(reports: tuple[Report, ...]) -> None:
    for report in reports:
        assert leaks(report.text, report.values) == [], report.name
