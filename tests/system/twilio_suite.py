"""Twilio's own test-suites: fetched through this machine's apt and pip, run with either client.

The unit tests and the fake HTTP client ("holodeck") are those of 9.4.1, from Debian's source
package. The integration tests, which Twilio stopped publishing, are those of 6.0.0.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

_HERE = Path(__file__).parent
_DEBIAN_SUITE = "trixie"


@dataclass(frozen=True)
class Archive:
    """A source archive, and the folders or files of it that are wanted."""

    name: str
    sha256: str
    wanted: tuple[str, ...]

    def is_in(self, cache: Path) -> bool:
        """Return whether *cache* has the archive; raise ``ValueError`` for a different one."""
        path = cache / self.name
        if not path.exists():
            return False
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise ValueError(f"{path} is not the archive whose tests were read and pinned")
        return True

    def extract(self, cache: Path, target: Path) -> None:
        """Extract what is wanted into *target*, without the archive's own top folder."""
        with tarfile.open(cache / self.name) as archive:
            for member in archive:
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if member.isfile() and any(path.is_relative_to(w) for w in self.wanted):
                    inner = member.replace(name=str(path), deep=False)
                    archive.extract(inner, target, filter="data")


UNIT = Archive(
    "python-twilio_9.4.1.orig.tar.gz",
    "07ed24c3268f663f9b9c14e451743af73b7e664e97cf7c71eb21d463674c5176",
    ("tests/__init__.py", "tests/holodeck.py", "tests/unit"),
)
INTEGRATION = Archive(
    "twilio-6.0.0.tar.gz",
    "2c284ed978b992b601914177746ba8afe29d9099fd6b4efaa1628e32951391d5",
    ("tests/integration",),
)


def fetch(cache: Path) -> None:
    """Download both archives into *cache*, unless they are there.

    Raises ``OSError`` or ``subprocess.CalledProcessError`` when they cannot be had.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for archive, download in ((UNIT, _apt_source), (INTEGRATION, _pip_download)):
        if not archive.is_in(cache):
            download(cache)
            if not archive.is_in(cache):
                raise FileNotFoundError(archive.name)


def extract(cache: Path, target: Path) -> None:
    """Extract the suites from *cache* into *target*``/unit`` and *target*``/integration``."""
    UNIT.extract(cache, target / "unit")
    INTEGRATION.extract(cache, target / "integration")
    for name in ("__init__.py", "holodeck.py"):
        shutil.copy(target / "unit/tests" / name, target / "integration/tests" / name)


def run(suite: Path, *, swapped: bool) -> dict[str, Any]:
    """Run *suite* in a process of its own, with our client if *swapped*; see ``suite_plugin``."""
    result = suite / ("ours.json" if swapped else "plain.json")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(suite),
        "PYTHONPATH": os.pathsep.join(map(str, (suite, _HERE))),
        "SUITE_RESULT": str(result),
    }
    if swapped:
        environment["SUITE_SWAPPED"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-Wignore", "-psuite_plugin"]
    command += [f"-pno:{plugin}" for plugin in ("cacheprovider", "randomly", "xdist")]
    command += ["-c", os.devnull, "--rootdir", str(suite), "tests"]
    done = subprocess.run(command, cwd=suite, env=environment, check=False)
    # Some of the tests are older than the library, so they fail (1) with Twilio's client as well.
    if done.returncode not in {0, 1}:
        raise subprocess.CalledProcessError(done.returncode, command)
    return json.loads(result.read_text("utf-8"))


def _pip_download(cache: Path) -> None:
    pinned = f"twilio==6.0.0 --hash=sha256:{INTEGRATION.sha256}\n"
    (cache / "requirements.txt").write_text(pinned, "utf-8")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=twilio"]
    subprocess.run([*command, "-r", "requirements.txt"], cwd=cache, check=True)


def _apt_source(cache: Path) -> None:
    """Let apt download Debian's source package; its lists and caches stay under *cache*."""
    apt = cache / "apt"
    for folder in ("sources", "lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    configured = Path("/etc/apt")
    for path in (configured / "sources.list", *configured.glob("sources.list.d/*.[ls]*")):
        if path.suffix in {".list", ".sources"} and path.is_file():
            entries = source_entries(path.read_text("utf-8"), _release())
            (apt / "sources" / path.name).write_text(entries, "utf-8")
    options = {
        "APT::Sandbox::User": "",
        "Dir::Cache": apt,
        "Dir::Etc::SourceList": os.devnull,
        "Dir::Etc::SourceParts": apt / "sources",
        "Dir::State::Lists": apt / "lists",
    }
    command = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*command, "update"], check=True)
    source = ["source", "--download-only", "--tar-only", "python-twilio=9.4.1-1"]
    subprocess.run([*command, *source], cwd=cache, check=True)


def _release() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def source_entries(text: str, release: str) -> str:
    """Return apt's configuration *text* with sources of our Debian suite in place of *release*.

    Both of apt's formats are read. Mirrors, proxies and keys stay as they are; an entry that is
    not about *release* itself (its security updates, another vendor's packages) is left out.
    """
    line = rf"^deb(?:-src)?\s+((?:\[[^]]*\]\s+)?\S+)\s+{release}\s"
    entries = {
        f"deb-src {found[1]} {_DEBIAN_SUITE} main"
        for found in re.finditer(line, text, re.MULTILINE)
    }
    stanza = rf"^Suites:(?:.*\s)?{release}(?!\S)"
    fields = {"Types": "deb-src", "Suites": _DEBIAN_SUITE, "Components": "main"}
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(stanza, paragraph, re.MULTILINE):
            entry = paragraph
            for field, value in fields.items():
                entry = re.sub(rf"^{field}:.*", f"{field}: {value}", entry, flags=re.MULTILINE)
            entries.add(entry + "\n")
    return "\n".join(sorted(entries)) + "\n"
