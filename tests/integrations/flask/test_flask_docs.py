"""The tests of docs/flask.md pass as pasted, beside its example."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from support import OUR_PLUGIN, run_python, write

ROOT = Path(__file__).parents[3]
APP = ROOT / "examples" / "flask_webhooks" / "app.py"
PAGE = (ROOT / "docs" / "flask.md").read_text(encoding="utf-8")


def test_its_tests_pass(tmp_path: Path) -> None:
    shutil.copy(APP, tmp_path)
    fence = r"^<!-- runs: (\S+) -->\n```python\n(.*?)^```$"
    [(name, text)] = re.findall(fence, PAGE, re.MULTILINE | re.DOTALL)
    write(tmp_path / name, text)

    done = run_python("-m", "pytest", cwd=tmp_path, environment=OUR_PLUGIN)

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
