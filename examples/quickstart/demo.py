"""The quickstart, acted out against the emulator: nothing is sent, nothing is spent.

Makes a key with ``safetwilio init``, runs ``app.py`` with it, then takes the secret away to show
what a start without it looks like. Exits with 0 only if all of that went as it should.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from safetwilio.testing import Emulator, EmulatorServer

APP = Path(__file__).with_name("app.py")


def main() -> int:
    """Act it out and return the exit code."""
    with tempfile.TemporaryDirectory() as directory, EmulatorServer(Emulator()) as server:
        home = Path(directory) / "quickstart"
        home.mkdir()
        shutil.copy(APP, home)
        account = server.emulator.account
        environment = {**os.environ, "SAFETWILIO_EMULATOR": server.url}
        print(f"An emulator of Twilio listens on {server.url}; nothing leaves this machine.")

        init = run(
            home,
            environment,
            ["safetwilio", "init", "--account-sid", account.sid, "--token-stdin"],
            typed=account.auth_token,
        )
        must(init.returncode == 0, "init makes a key")

        first = run(home, environment, ["python", "app.py"])
        must(first.returncode == 0, "the app runs")
        must(len(server.emulator.messages) == 1, "the emulator got one message")
        must("[TWILIO:key:" in first.stderr, "the log line is redacted")
        secrets = [
            line.partition("=")[2] for line in (home / ".env").read_text().splitlines() if line
        ]
        must(not any(s in first.stdout + first.stderr for s in secrets), "no secret is shown")

        lines = (home / ".env").read_text().splitlines(keepends=True)
        (home / ".env").write_text("".join(x for x in lines if "TWILIO_API_SECRET" not in x))
        print("\n(The line with TWILIO_API_SECRET is taken out of .env.)")
        second = run(home, environment, ["python", "app.py"])
        must(second.returncode != 0, "without its secret the app does not start")
        must("[ST101]" in second.stderr, "the report names what is missing")
        must(len(server.emulator.messages) == 1, "and nothing was sent")
    print("\nAll of it went as it should.")
    return 0


def run(
    home: Path, environment: dict[str, str], command: list[str], typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Show *command*, run it in *home*, show what it says, and return it."""
    print(f"\n$ {' '.join(command)}", flush=True)
    arguments = {
        "safetwilio": [sys.executable, "-m", "safetwilio.cli.main"],
        "python": [sys.executable],
    }[command[0]] + command[1:]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        arguments,
        cwd=home,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    for line in (done.stdout + done.stderr).splitlines():
        print(f"  {line}")
    print(f"  (exit code {done.returncode})")
    return done


def must(held: bool, what: str) -> None:  # noqa: FBT001
    """Stop with exit code 1 unless *what* *held*."""
    if not held:
        sys.exit(f"demo: expected that {what}, but it did not happen")


if __name__ == "__main__":
    sys.exit(main())
