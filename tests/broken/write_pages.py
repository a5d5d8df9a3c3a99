"""Run every broken configuration in a process of its own and write docs/broken-configurations/.

::

    python tests/broken/write_pages.py
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
if str(TESTS) not in sys.path:  # where the test runner has put it, but nobody else
    sys.path.append(str(TESTS))

from configurations import CONFIGURATIONS  # noqa: E402
from situations import BOOT  # noqa: E402

from support import new_key, run_python  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from situations import Configuration, Situation

PAGES = TESTS.parent / "docs" / "broken-configurations"
SHOWN_DIRECTORY = "/srv/app"
_RAISED = "safetwilio.errors."
_WORKERS = 4


class Outcome(NamedTuple):
    """What the process of one configuration did: its *status*, *report* and whole *stderr*."""

    status: int
    report: str
    stderr: str
    values: tuple[str, ...]


def run(configuration: Configuration) -> Outcome:
    """Run *configuration* with fresh credentials; the directory it ran in is shown as one name."""
    situation = configuration.make(new_key())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name).resolve() / "app"
        directory.mkdir()
        _write_files(directory, situation)
        done = run_python(
            "-c", configuration.program, cwd=directory, environment=situation.environment
        )
        stderr = done.stderr.replace(str(directory), SHOWN_DIRECTORY)
    return Outcome(done.returncode, _report(stderr), stderr, tuple(_values(situation)))


def run_all() -> dict[str, Outcome]:
    """Run every configuration and return the outcomes by name."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        outcomes = pool.map(run, CONFIGURATIONS)
        return {c.name: o for c, o in zip(CONFIGURATIONS, outcomes, strict=True)}


def pages(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Return file names and texts of the whole folder."""
    texts = {f"{c.name}.md": _page(c, outcomes[c.name].report) for c in CONFIGURATIONS}
    return {"index.md": _index(), **texts}


def _write_files(directory: Path, situation: Situation) -> None:
    for name, content in situation.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        elif isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            path.chmod(situation.modes.get(name, 0o600))


def _report(stderr: str) -> str:
    """Return *stderr* from the last exception on: the lines of the traceback before it go."""
    lines = stderr.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(_RAISED)]
    return "\n".join(line.rstrip() for line in lines[starts[-1] if starts else 0 :]).strip()


def _values(situation: Situation) -> Iterable[str]:
    """Return the random words of *situation*, which no page and no stderr may show."""
    texts = [*situation.environment.values()]
    for name, content in situation.files.items():
        if content and "plugin" not in name:
            texts.append(content if isinstance(content, str) else content.decode("utf-16"))
    words = [word.strip("\"'") for text in texts for word in text.replace("=", " ").split()]
    return (w for w in words if sum(map(str.isdigit, w)) > 2 and "/" not in w and "+" not in w)


def _page(configuration: Configuration, report: str) -> str:
    title = configuration.name.replace("-", " ").capitalize().replace("sid", "SID")
    verdict = "The program starts, with this warning" if configuration.starts else "The report"
    run_as = configuration.program.replace('"', "'")
    return (
        f"# {title}\n\n{configuration.words}\n\n{verdict}:\n\n"
        f'```console\n$ python -c "{run_as}"\n{report}\n```\n'
    )


def _index() -> str:
    names = "\n".join(c.name for c in CONFIGURATIONS)
    return (
        "# Broken configurations\n\n"
        f"What safetwilio says about {len(CONFIGURATIONS)} ways to get the configuration wrong. "
        "Each page was written by\n`tests/broken/write_pages.py`, which runs "
        f'`python -c "{BOOT}"` in a process of its own with\ncredentials made for it; '
        "a test repeats that and compares. Python's traceback before the report is left\nout, and "
        f"the directory that the program runs in is shown as `{SHOWN_DIRECTORY}`.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    )


def main() -> int:
    """Write the pages, and remove those that no configuration stands for any longer."""
    PAGES.mkdir(parents=True, exist_ok=True)
    wanted = pages(run_all())
    for path in PAGES.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} pages in {PAGES}")  # noqa: T201 - a command says what it did
    return 0


if __name__ == "__main__":
    sys.exit(main())
