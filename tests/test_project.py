"""Cheap checks of the checkout itself: what its files promise one another."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEST_COMMAND = "python3 dev.py tests"
DEMO_COMMAND = "python3 dev.py demo"
LONGEST_FILE = 400  # a longer one has two jobs
POSIX_ONLY = {"crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline"}
POSIX_ONLY |= {"resource", "spwd", "syslog", "termios", "tty"}
# Text that is read by people who have neither our machines nor our accounts.
PUBLISHED = [
    path
    for pattern in ("*", ".ci/*", "src/**/*", "tests/**/*", "docs/**/*", "examples/**/*", "bench/*")
    for path in sorted(ROOT.glob(pattern))
    if path.is_file() and "_build" not in path.parts and not path.name.startswith(".coverage")
    if path.suffix in {"", ".cfg", ".json", ".md", ".py", ".pyi", ".toml", ".txt", ".yaml", ".yml"}
]
HOME_PATH = re.compile(r"(?<![\w.])(?:/|[A-Z]:\\)(?:root|home|Users)[/\\]\w")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("command", [DEMO_COMMAND, TEST_COMMAND])
def test_readme_gives_the_command(command: str) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    assert re.search(rf"^(?:\$ )?{command}(?: +#.*)?$", readme, re.MULTILINE)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_commands_name_sessions() -> None:
    noxfile = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    sessions = {node.name for node in noxfile.body if isinstance(node, ast.FunctionDef)}

    assert {command.rpartition(" ")[2] for command in (DEMO_COMMAND, TEST_COMMAND)} <= sessions


def test_every_error_code_has_an_anchor_and_every_anchor_a_code() -> None:
    in_sources = {
        code for path in SOURCES for code in re.findall(r"\bST\d{3}\b", path.read_text("utf-8"))
    }
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    anchors = Counter(code.upper() for code in re.findall(r"^\((st\d{3})\)=", page, re.MULTILINE))

    assert sorted(anchors) == sorted(in_sources)
    assert max(anchors.values()) == 1


def test_no_source_file_is_too_long() -> None:
    lines = {name(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}

    assert {file: count for file, count in lines.items() if count > LONGEST_FILE} == {}


def test_every_source_file_can_be_imported_on_windows() -> None:
    imports = {
        name(path): POSIX_ONLY & set(imported_on_load(ast.parse(path.read_text("utf-8"))))
        for path in SOURCES
    }

    assert {file: names for file, names in imports.items() if names} == {}


def test_the_check_for_windows_sees_guarded_imports_but_not_those_in_functions() -> None:
    tree = ast.parse(
        "try:\n import fcntl\nexcept ImportError: pass\n"
        "class A:\n from pwd import getpwnam\n"
        "def later():\n import resource\n"
    )

    assert set(imported_on_load(tree)) == {"fcntl", "pwd"}


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files("safetwilio").joinpath("py.typed").is_file()


def test_no_file_holds_a_path_of_somebodys_home() -> None:
    assert [name(path) for path in PUBLISHED if HOME_PATH.search(path.read_text("utf-8"))] == []


def imported_on_load(node: ast.AST) -> Iterator[str]:
    """Yield the top-level names that *node* imports when its module is loaded."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            return
        case ast.Import():
            yield from (alias.name.partition(".")[0] for alias in node.names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module.partition(".")[0]
        case _:
            for child in ast.iter_child_nodes(node):
                yield from imported_on_load(child)
