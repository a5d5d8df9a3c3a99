"""Which mistakes a strict project of a user hears of: from which checker, with which settings."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """\
from safetwilio import client, get_client

client.messages.create(to=1)  # a number that is no str
client.mesages.create(to="+15550100")  # a resource that is not there
get_client("marketing").messages.create(too="+15550100")  # an argument that is not there
client.messages.create(to="+15550100").sidd  # an attribute that is not there
client.http_clinet = None  # a name that is not there, to set
async def tell() -> None:
    client.messages.create_async(to="+15550100")  # an answer that nobody waits for
safetwilio_client = client.acount_sid
client.messages.create(to="+15550100")  # no sender, and nothing to say
client.messages("SM1").update(status="cancelled")  # a value that Twilio does not know
"""
FOLLOWED = """
[[tool.mypy.overrides]]
module = "twilio.*"
follow_untyped_imports = true
"""
NUMBER, RESOURCE, ARGUMENT, ATTRIBUTE, SET, NOT_AWAITED, NAME = 3, 4, 5, 6, 7, 9, 10
ALL = {NUMBER, RESOURCE, ARGUMENT, ATTRIBUTE, SET, NOT_AWAITED, NAME}
INCOMPLETE, STATUS = 11, 12


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project of a user, with nothing of ours in it but the import."""
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    return tmp_path


def mypy(project: Path, settings: str = "") -> set[int]:
    """Return the lines that mypy complains of, with a configuration of *settings*."""
    strict = "[tool.mypy]\nstrict = true\nenable_error_code = ['unused-awaitable']\n"
    (project / "pyproject.toml").write_text(strict + settings, "utf-8")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "program.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    lines = (line.split(":") for line in done.stdout.splitlines())
    return {int(parts[1]) for parts in lines if parts[2].strip() == "error"}


def pyright(project: Path, mode: str) -> set[int]:
    """Return the lines that pyright complains of in *mode*, as errors."""
    settings = {"typeCheckingMode": mode, "include": ["program.py"]}
    (project / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}


def test_mypy_that_follows_twilios_package(project: Path) -> None:
    """One setting more than ``strict``: then all mistakes are errors."""
    assert mypy(project, FOLLOWED) == ALL


def test_mypy_without_it_takes_everything_of_twilios_as_any(project: Path) -> None:
    """``TwilioClient`` has a base that mypy does not know, so it may have any attribute."""
    assert mypy(project) == set()


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_pyright_reads_twilios_package_by_itself(project: Path, mode: str) -> None:
    assert pyright(project, mode) >= ALL


def test_where_it_ends(project: Path) -> None:
    """Twilio's package says that all but the recipient is optional, and a status any ``str``."""
    assert not {INCOMPLETE, STATUS} & mypy(project, FOLLOWED)
    assert not {INCOMPLETE, STATUS} & pyright(project, "standard")
