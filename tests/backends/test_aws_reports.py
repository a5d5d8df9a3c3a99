"""Must show: every report on the page of the AWS backend is what a program says today."""

from __future__ import annotations

from typing import ClassVar

from aws_reports import PAGE
from test_reports import ReportsOf


class TestReports(ReportsOf):
    """With the code that each names first."""

    page = PAGE
    codes: ClassVar = {
        "Denied": "ST330",
        "Denied the role": "ST330",
        "Wrong login": "ST331",
        "Expired login": "ST331",
        "No login": "ST331",
        "Denied the KMS key": "ST330",
        "Missing": "ST104",
        "Half a pair": "ST101",
        "Malformed": "ST333",
        "No such version": "ST336",
        "Marked for deletion": "ST335",
        "Not decrypted": "ST334",
        "A managed Main key": "ST503",
        "A managed Auth Token": "ST501",
        "Refused port": "ST332",
        "Black hole": "ST332",
        "Plain HTTP": "ST339",
        "No region": "ST302",
    }
