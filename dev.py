"""Run one of the project's sessions (see noxfile.py) with nothing but Python and pip at hand.

::

    python3 dev.py demo [NAME]
    python3 dev.py tests [PYTEST ARGUMENTS]

nox and uv are installed into .nox/bootstrap, which the next run reuses, or makes anew if it was
left half-made or its Python is gone. Nothing outside the checkout is touched.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

NOX = "nox[uv]>=2026.7,<2027"
ROOT = Path(__file__).resolve().parent
HOME = ROOT / ".nox" / "bootstrap"
PYTHON = str(HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
DONE = HOME / "done"  # written last: says what was installed, and with which Python
WANTED = f"{NOX} {sys.version}"


def prepare() -> None:
    """Make the environment that holds nox, unless the one that is there is whole."""
    if DONE.exists() and DONE.read_text(encoding="utf-8") == WANTED and Path(PYTHON).exists():
        return
    print(f"dev.py: installing {NOX} into {HOME.relative_to(ROOT)}", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    # Debian's Python may come without ensurepip: then the pip that is there does the work.
    own_pip = importlib.util.find_spec("ensurepip") is not None
    venv.create(HOME, with_pip=own_pip)
    pip = [PYTHON, "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", PYTHON]
    subprocess.run([*pip, "install", "--quiet", "--no-input", NOX], check=True)
    DONE.write_text(WANTED, encoding="utf-8")


def environment() -> dict[str, str]:
    """Return this one with what uv would not read: pip's mirror, and the system's certificates."""
    found = {"UV_SYSTEM_CERTS": "true"}
    asked = [sys.executable, "-m", "pip", "config", "get"]
    for name in (":env:.index-url", "global.index-url"):
        told = subprocess.run([*asked, name], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            found.setdefault("UV_DEFAULT_INDEX", told.stdout.strip())
    return {**found, **os.environ}


def main(arguments: list[str]) -> int:
    """Run the session named first in *arguments*; the rest goes to it."""
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 2
    try:
        prepare()
        session, *rest = [a for a in arguments if a != "--"]
        print("dev.py: nox --session", session, *rest, flush=True)
        command = [PYTHON, "-m", "nox", "--session", session, "--", *rest]
        return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode
    except subprocess.CalledProcessError as error:
        print(f"dev.py: setting up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
