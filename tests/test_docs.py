"""The examples of the documentation do what they say, against the emulator.

``<!-- runs -->`` before a fence marks a program of its own, and ``<!-- runs: NAME -->`` a file of a
project that the page builds, whose tests are run together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from safetwilio.testing import EmulatorServer
from support import OUR_PLUGIN, run_python, write

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PROGRAMS = (
    "README.md",
    "docs/quickstart.md",
    "docs/configuration.md",
    "docs/redaction.md",
    "docs/access-tokens.md",
    "docs/webhooks.md",
    "docs/backends/index.md",
)
PROJECTS = ("docs/testing.md", "docs/testing-compared.md")
FENCE = re.compile(r"^<!-- runs(?:: (\S+))? -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLANK = "+1…"  # the reader puts a number there


class Block(NamedTuple):
    """One marked fence of *page*: its *file* name, if it has one, its line and its *text*."""

    page: str
    line: int
    file: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(page, text.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in FENCE.finditer(text)
    ]
    assert len(found) == text.count("<!-- runs"), f"{page} has a marker without a fence"
    return found


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        yield running


def dotenv(server: EmulatorServer) -> str:
    """Return the ``.env`` of a reader: the default account, another one, and a name of the app."""
    account, key = server.emulator.account, server.emulator.standard_key
    lines = ["DATABASE_URL=sqlite://"]
    for prefix in ("TWILIO_", "TWILIO_MARKETING_"):
        lines += [
            f"{prefix}ACCOUNT_SID={account.sid}",
            f"{prefix}API_KEY={key.sid}",
            f"{prefix}API_SECRET={key.secret}",
        ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("block", [b for page in PROGRAMS for b in blocks(page)], ids=str)
def test_a_program_runs_as_pasted(block: Block, server: EmulatorServer, tmp_path: Path) -> None:
    write(tmp_path / ".env", dotenv(server))
    write(tmp_path / "app.py", block.text.replace(BLANK, "+15551230001"))

    done = run_python("app.py", cwd=tmp_path, environment={"SAFETWILIO_EMULATOR": server.url})

    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.emulator.messages) == block.text.count("messages.create")


@pytest.mark.parametrize("page", PROJECTS)
def test_the_tests_of_a_page_pass(page: str, tmp_path: Path) -> None:
    files = {b.file: b.text for b in blocks(page)}
    for name, text in files.items():
        assert name
        write(tmp_path / name, text)
    tests = sum(text.count("def test_") for text in files.values())

    done = run_python("-m", "pytest", cwd=tmp_path, environment=OUR_PLUGIN)

    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= tests > 0


def test_the_sample_report_of_the_quickstart_is_the_real_one(
    server: EmulatorServer, tmp_path: Path
) -> None:
    page = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    report = page.partition("```text\n")[2].partition("```")[0]
    half = [line for line in dotenv(server).splitlines()[1:4] if "SECRET" not in line]
    write(tmp_path / ".env", "\n".join(half) + "\n")

    done = run_python(
        "-c",
        "from safetwilio import client",
        cwd=tmp_path,
        environment={"SAFETWILIO_EMULATOR": server.url},
    )

    assert done.returncode == 1
    assert report in done.stderr
