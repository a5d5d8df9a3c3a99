"""Must show: every report on the page of ``dotenv-vault:`` is what a program says today."""

from __future__ import annotations

from typing import ClassVar

from dotenv_vault_reports import PAGE
from test_reports import ReportsOf


class TestReports(ReportsOf):
    """With the code that each names first."""

    page = PAGE
    codes: ClassVar = {
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
