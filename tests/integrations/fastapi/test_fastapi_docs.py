"""What docs/fastapi.md has besides the example runs as pasted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from support import OUR_PLUGIN, auth_token, new_key, run_python, write

ROOT = Path(__file__).parents[3]
APP = ROOT / "examples" / "fastapi_webhooks" / "app.py"
PAGE = (ROOT / "docs" / "fastapi.md").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(APP, tmp_path)
    fence = r"^<!-- runs: (\S+) -->\n```python\n(.*?)^```$"
    fences = re.findall(fence, PAGE, re.MULTILINE | re.DOTALL)
    for name, text in fences:
        write(tmp_path / name, text)
    return tmp_path


def test_its_tests_pass(project: Path) -> None:
    done = run_python("-m", "pytest", cwd=project, environment=OUR_PLUGIN)

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_its_settings_start(project: Path) -> None:
    run = "import asyncio, settings\nasync def run():\n"
    run += " async with settings.app.router.lifespan_context(settings.app): print('started')\n"
    run += "asyncio.run(run())"
    environment = {**new_key().environment(), "TWILIO_WEBHOOK_AUTH_TOKEN": auth_token()}

    done = run_python("-c", run, cwd=project, environment=environment)

    assert (done.stdout, done.stderr) == ("started\n", "")
