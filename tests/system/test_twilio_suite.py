"""Twilio's own tests, run with its client and with ours: nothing may differ."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import twilio_suite


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the suites, once where SAFETWILIO_SUITE_CACHE names a folder; CI has to succeed."""
    cache = os.environ.get("SAFETWILIO_SUITE_CACHE")
    archives = Path(cache).absolute() if cache else tmp_path_factory.mktemp("archives")
    try:
        twilio_suite.fetch(archives)
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Twilio's test-suites cannot be fetched here: {error}")
    target = tmp_path_factory.mktemp("suites")
    twilio_suite.extract(archives, target)
    return target


@pytest.mark.parametrize(
    ("suite", "passed", "requests"), [("integration", 700, 700), ("unit", 500, 5)]
)
def test_outcomes_and_requests_are_those_of_twilios_client(
    suites: Path, suite: str, passed: int, requests: int
) -> None:
    plain = twilio_suite.run(suites / suite, swapped=False)
    ours = twilio_suite.run(suites / suite, swapped=True)

    assert (plain["client"], ours["client"]) == ("twilio.rest", "safetwilio.clients.rest")
    assert {
        test: (plain["tests"].get(test), ours["tests"].get(test))
        for test in plain["tests"].keys() | ours["tests"].keys()
        if plain["tests"].get(test) != ours["tests"].get(test)
    } == {}
    results = ours["tests"].values()
    assert sum(result["outcome"] == "passed" for result in results) >= passed
    assert sum(len(result["requests"]) for result in results) >= requests


ONE_LINE = """\
# deb http://mirror.test/debian bookworm main
deb [signed-by=/keys/debian.gpg] http://mirror.test/debian bookworm main contrib
deb-src [signed-by=/keys/debian.gpg] http://mirror.test/debian bookworm main
deb http://mirror.test/debian-security bookworm-security main
deb http://vendor.test/apt stable main
"""

PARAGRAPHS = """\
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
"""


def test_apt_sources_in_lines_keep_mirror_and_key() -> None:
    assert twilio_suite.source_entries(ONE_LINE, "bookworm").split("\n") == [
        "deb-src [signed-by=/keys/debian.gpg] http://mirror.test/debian trixie main",
        "",
    ]


def test_apt_sources_in_paragraphs_keep_mirror_and_key() -> None:
    assert twilio_suite.source_entries(PARAGRAPHS, "bookworm").split("\n") == [
        "Types: deb-src",
        "URIs: http://mirror.test/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: /keys/debian.gpg",
        "",
        "",
    ]
