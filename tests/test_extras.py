"""A missing library is named together with the command that installs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from safetwilio.errors import MissingExtra
from safetwilio.extras import need

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a package that is there; the test says what importing it does."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stwlibrary", raising=False)
    (tmp_path / "stwlibrary").mkdir()
    return tmp_path / "stwlibrary" / "__init__.py"


def test_what_is_there_is_imported(library: Path) -> None:
    library.write_text("answer = 42\n")
    assert need("stwlibrary", extra="x", purpose="it").answer == 42
    del sys.modules["stwlibrary"]


@pytest.mark.parametrize("name", ["stwnothing", "stwnothing.inner", "stwlibrary.inner"])
def test_what_is_not_there_is_named_with_the_command(library: Path, name: str) -> None:
    library.write_text("")
    with pytest.raises(ImportError) as missing:
        need(name, extra="vault", purpose="vault:")
    assert isinstance(missing.value, MissingExtra)
    (problem,) = missing.value.problems
    assert problem.code == "ST901"
    assert problem.fix == 'pip install "safetwilio[vault]"'
    assert problem.summary == (
        f"vault: needs the library {name.partition('.')[0]}, which is not installed."
    )
    assert missing.value.__cause__ is None
    assert missing.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import stwnothing", "it needs stwnothing, which is not there"),
        ("1/0", "importing it raised ZeroDivisionError"),
        ("raise ImportError('secret')", "importing it raised ImportError"),
    ],
)
def test_what_is_broken_is_not_called_missing(library: Path, text: str, why: str) -> None:
    library.write_text(text)
    with pytest.raises(MissingExtra) as missing:
        need("stwlibrary", extra="aws", purpose="aws-sm:")
    (problem,) = missing.value.problems
    assert problem.summary.endswith("which does not work here.")
    assert problem.found_in == (why,)
