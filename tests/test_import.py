"""``import safetwilio`` is nothing; each name is loaded when it is asked for."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import safetwilio
from safetwilio import _boot
from safetwilio.errors import SafeTwilioError
from support import Key, Opaque, assert_silent, key_secret, run_python

HEAVY = ("twilio", "pydantic", "pydantic_settings", "requests", "dotenv", "logging", "typing", "re")


def loaded_after(statement: str, cwd: Path, **environment: str) -> set[str]:
    """Return the modules that *statement* adds to those of a bare Python."""
    code = (
        "import json, sys\nbefore = set(sys.modules)\n"
        f"{statement}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    # -S: .pth files of other packages may import anything
    done = run_python("-c", code, cwd=cwd, environment=environment)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_import_loads_nothing_else(tmp_path: Path) -> None:
    assert loaded_after("import safetwilio", tmp_path) == {"safetwilio"}


@pytest.mark.parametrize(
    "statement",
    [
        "import safetwilio; dir(safetwilio); safetwilio.__version__",
        "import safetwilio; hasattr(safetwilio, 'clinet')",
        "import safetwilio; hasattr(safetwilio, '__wrapped__')",
    ],
)
def test_looking_loads_nothing_either(tmp_path: Path, statement: str) -> None:
    loaded = loaded_after(statement, tmp_path)

    assert not {name for name in loaded if name.startswith(("safetwilio.", *HEAVY[:5]))}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("from safetwilio import redact", ("twilio", "pydantic", "requests")),
        ("from safetwilio import break_glass", ("twilio", "pydantic", "requests")),
        ("from safetwilio import TwilioSettings", ("twilio", "requests")),
    ],
)
def test_names_load_what_they_need(tmp_path: Path, statement: str, absent: tuple[str, ...]) -> None:
    assert not {m for m in loaded_after(statement, tmp_path) if m.partition(".")[0] in absent}


def test_star_import_neither_boots_nor_takes_the_client(tmp_path: Path) -> None:
    """Nothing is configured here, so booting would fail."""
    code = "from safetwilio import *; print('client' in globals(), callable(configure))"
    done = run_python("-c", code, cwd=tmp_path, environment={})

    assert (done.stdout.strip(), done.stderr) == ("False True", "")


def test_every_public_name_is_there() -> None:
    for name in safetwilio.__all__:
        assert getattr(safetwilio, name) is not None
    assert set(safetwilio.__all__) <= set(dir(safetwilio))
    assert not {"client", "TYPE_CHECKING"} & set(dir(safetwilio))


def test_types_and_run_time_know_the_same_names() -> None:
    """What ``if TYPE_CHECKING`` declares for checkers is what ``__getattr__`` serves."""
    tree = ast.parse(Path(safetwilio.__file__).read_text("utf-8"))
    (guarded,) = [n for n in tree.body if isinstance(n, ast.If)]
    declared = {
        alias.asname or alias.name
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } - {"TwilioClient"}

    assert declared == set(safetwilio.__all__)
    assert set(safetwilio._HOMES) | {"redact"} == declared


def test_misspelt_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'safetwilio' has no attribute 'clinet'"):
        _ = safetwilio.clinet
    with pytest.raises(ImportError, match="cannot import name 'clinet'"):
        exec("from safetwilio import clinet")  # noqa: S102 - checkers flag it where they see it


def test_a_fault_while_booting_is_not_taken_for_a_missing_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An AttributeError from within would make Python say that there is no such name."""
    secret = key_secret()

    def broken(_: object) -> None:
        held = Opaque(secret)
        held.nothing  # type: ignore[attr-defined]  # noqa: B018

    monkeypatch.setattr(_boot, "get_account", broken)
    with pytest.raises(
        SafeTwilioError, match=r"AttributeError \(.*test_import\.py, line \d+"
    ) as bad:
        exec("from safetwilio import client")  # noqa: S102
    assert bad.value.code == "ST900"
    assert_silent(bad.value.with_traceback(None), [secret])


def test_no_module_is_called_like_a_public_name() -> None:
    """A submodule would shadow the lazy attribute from the second access on."""
    files = {path.stem for path in Path(safetwilio.__file__).parent.iterdir()}

    assert not files & {"client", "async_client", *safetwilio.__all__}


def test_client_is_not_kept_in_the_module(configured: Key) -> None:
    assert safetwilio.client is safetwilio.client
    assert "client" not in vars(safetwilio)
    assert configured
