"""``safetwilio init``: where the key is kept, what gives way to it, and what failures leave."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from newcomer import COMMAND, Here, Newcomer, Terminal, keys_of

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing.faults import drop, latency, status
from support import auth_token, key_secret, leaks, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.exchange import EmulatedRequest

IGNORED = "/.env\n/.env.safetwilio-*\n"
CREATE = "POST */Keys.json"
SID_PROMPT = "Account SID: "
TOKEN_PROMPT = "Auth Token (not shown, not stored): "


def test_an_existing_key_is_left_alone(newcomer: Newcomer) -> None:
    assert newcomer.init().returncode == 0
    before = newcomer.dotenv.read_bytes()
    seen = len(newcomer.emulator.requests)
    done = newcomer.run("init", "--json")  # needs neither terminal nor token
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"changed": []}
    assert "holds an API key already; nothing was changed" in done.stderr
    assert newcomer.dotenv.read_bytes() == before
    assert len(newcomer.emulator.requests) == seen


def test_a_key_in_the_environment_is_found_as_the_program_would_find_it(here: Here) -> None:
    key = here.emulator.standard_key
    pair = {"TWILIO_API_KEY": key.sid, "TWILIO_API_SECRET": key.secret}
    done = here.run("init", "--account-sid", here.sid, **pair)
    assert done.returncode == 0
    assert done.stderr.startswith("env holds an API key already")
    replaced = here.init("--replace", "--json", **pair, TWILIO_ACCOUNT_SID=here.sid)
    assert replaced.returncode == 4
    assert "The program will use another API key than the new one." in replaced.stderr
    assert [p["code"] for p in json.loads(replaced.stdout)["problems"]] == ["ST211"]


def test_the_program_s_own_view_is_part_of_the_result(here: Here) -> None:
    here.dotenv.write_text(f"TWILIO_AUTH_TOKEN={here.token}\n")
    here.dotenv.chmod(0o600)
    done = here.init()
    assert done.returncode == 0
    assert "[ST502 warning]" in done.stderr
    other = here.init("--replace", TWILIO_ACCOUNT_SID="AC5afe0000" + os.urandom(12).hex())
    assert other.returncode == 4
    assert "[ST217]" in other.stderr


@pytest.mark.parametrize(
    "secret",
    ["", "TWILIO_API_SECRET=\n", "TWILIO_API_SECRET=your_api_secret\n",
     "TWILIO_API_SECRET={token}\n", "TWILIO_API_SECRET={sid}\n"],
)  # fmt: skip
def test_what_is_no_secret_may_be_written_over(here: Here, secret: str) -> None:
    text = secret.format(token=here.token, sid=here.sid)
    here.dotenv.write_text(f"TWILIO_API_KEY=SKxxxxxxxxxxxxxxxx\n{text}")
    assert here.init().returncode == 0
    (key,) = here.made
    assert here.holds(key)


@pytest.mark.parametrize("secret", ["encrypted:BDqDBibm4wsYqMpCjTQ6BsDHmMadg9K3dAt", "{secret}"])
def test_what_may_be_the_only_copy_of_a_secret_is_not(here: Here, secret: str) -> None:
    text = secret.format(secret=here.emulator.standard_key.secret)
    here.dotenv.write_text(f"TWILIO_API_SECRET={text}\n")
    done = here.init()
    assert done.returncode == 0
    assert "nothing was changed" in done.stderr
    assert not here.made


def test_replace_lists_the_keys_that_are_left(here: Here) -> None:
    assert here.init("--service", "billing").returncode == 0
    (old,) = here.made
    done = here.init("--service", "billing", "--replace", "--json")
    assert done.returncode == 0
    new = next(key for key in here.made if key is not old)
    assert here.holds(new)
    said = json.loads(done.stdout)
    assert said["leftovers"] == [old.friendly_name]
    assert said["changed"] == ["key"]
    assert "delete in the Console those that nothing uses" in done.stderr


def test_a_named_account_has_names_and_a_sid_of_its_own(here: Here) -> None:
    assert here.init().returncode == 0
    other = here.emulator.create_account()
    done = here.run(
        "init", "--account", "Marketing", "--token-stdin", stdin=other.auth_token,
        TWILIO_ACCOUNT_SID=here.sid, TWILIO_MARKETING_ACCOUNT_SID=other.sid,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (key,) = keys_of(other)
    said = here.kept
    assert said["TWILIO_MARKETING_API_KEY"] == key.sid
    assert said["TWILIO_MARKETING_API_SECRET"] == key.secret
    assert said["TWILIO_MARKETING_ACCOUNT_SID"] == other.sid
    assert here.holds(here.made[0])
    verified = here.run("doctor", "--account", "marketing", "--verify", "--json")
    assert json.loads(verified.stdout)["verified"] is True


def test_a_named_account_never_takes_the_default_account_s_sid(here: Here) -> None:
    done = here.run(
        "init", "--account", "marketing", "--token-stdin", stdin=here.token,
        TWILIO_ACCOUNT_SID=here.sid,
    )  # fmt: skip
    assert done.returncode == 2
    assert not here.made


@pytest.mark.parametrize("name", ["", "1st", "a-b", "x" * 41])
def test_an_account_name_that_is_none_is_wrong_usage(here: Here, name: str) -> None:
    for command in ("init", "doctor"):
        done = here.run(command, "--account", name)
        assert done.returncode == 2
        assert "[ST906]" in done.stderr


@pytest.mark.parametrize(
    ("service", "middle"),
    [("Ünïcödé ✓ app", "n-c-d-app"), ("請求書", "app"), ("", "my-app"),
     ("x" * 200, "x" * 25 + "-aa20c"),  # the mark tells it from others that begin so
     ("../../etc/passwd", "..-..-etc-passwd"), ("a\nb\x1b[31m", "a-b-31m")],
)  # fmt: skip
def test_any_service_name_makes_a_key_name_that_fits(here: Here, service: str, middle: str) -> None:
    assert here.init("--service", service).returncode == 0
    (key,) = here.made
    assert key.friendly_name.split("/")[1] == middle
    assert len(key.friendly_name) <= 64


def test_another_place_is_written_and_named(here: Here) -> None:
    done = here.init("--backend", "dotenv:conf/twilio.env")
    assert done.returncode == 1
    assert "[ST307]" in done.stderr
    assert not here.emulator.requests
    (here.directory / "conf").mkdir()
    done = here.init("--backend", "dotenv:conf/twilio.env")
    assert done.returncode == 0
    assert "SAFETWILIO_BACKEND=dotenv:conf/twilio.env" in done.stderr
    assert (here.directory / "conf" / ".gitignore").read_text().startswith("/twilio.env\n")
    assert not here.dotenv.exists()


def test_the_default_is_where_the_program_looks(here: Here) -> None:
    done = here.init(SAFETWILIO_BACKEND="env,dotenv:twilio.env,dotenv:.env")
    assert done.returncode == 0
    assert "Next:" in done.stderr
    assert (here.directory / "twilio.env").exists()
    assert not here.dotenv.exists()


@pytest.mark.parametrize(
    ("arguments", "env", "code", "status_"),
    [
        (["--backend", "env"], {}, "ST907", 2),
        (["--backend", "env,dotenv:.env"], {}, "ST907", 2),
        ([], {"SAFETWILIO_ENV": "production"}, "ST907", 2),
        ([], {"SAFETWILIO_BACKEND": "files:secrets"}, "ST907", 2),
        (["--backend", "nonesuch:x"], {}, "ST301", 1),
        (["--backend", "://"], {}, "ST302", 1),
        ([], {"TWILIO_REGION": "evil.example/"}, "ST213", 1),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_first(
    here: Here, arguments: list[str], env: dict[str, str], code: str, status_: int
) -> None:
    done = here.init(*arguments, **env)
    assert (done.returncode, code in done.stderr) == (status_, True)
    assert not here.emulator.requests


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (".env", "Did you mean dotenv:.env?"),
        ("conf/alerts.env", "Did you mean dotenv:conf/alerts.env?"),
        ("there", ""),  # it could be a scheme
        ("./there", "Did you mean dotenv:./there?"),
        ("./not-there", ""),
        ("x" * 5000, ""),
    ],
)
def test_a_path_alone_is_taken_for_a_slip(here: Here, text: str, meant: str) -> None:
    """A reference names its backend first; which one was meant is plain for a ``.env``."""
    write(here.directory / "there", "")
    done = here.init("--backend", text)
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert meant in said
    assert ("Did you mean" in said) is bool(meant)
    assert not here.emulator.requests


def test_a_secret_in_such_a_path_is_not_repeated(here: Here) -> None:
    secret = key_secret()
    done = here.init("--backend", f"{secret}.env")
    assert "Did you mean dotenv:(32 characters).env?" in " ".join(done.stderr.split())
    assert leaks(done.stderr, [secret]) == []


@pytest.mark.parametrize(("secret", "code"), [(auth_token, "ST908"), (key_secret, "ST906")])
def test_a_secret_is_no_name_of_a_service(here: Here, secret: Callable[[], str], code: str) -> None:
    value = secret()
    done = here.init("--service", value)
    assert (done.returncode, f"[{code}]" in done.stderr) == (2, True)
    assert leaks(done.stderr + done.stdout, [value]) == []
    assert not here.emulator.requests


def test_a_key_that_cannot_be_kept_is_deleted_again(here: Here) -> None:
    here.emulator.faults.add(latency(0), match=_in_the_way(here))
    done = here.init()
    assert done.returncode == 1
    assert "The key could not be kept, so it was deleted again" in done.stderr
    assert "[ST308]" in done.stderr
    assert not here.made


def test_a_key_that_can_neither_be_kept_nor_deleted_is_named(here: Here) -> None:
    here.emulator.faults.add(latency(0), match=_in_the_way(here))
    here.emulator.faults.add(status(500), match="DELETE */Keys/*")
    done = here.init()
    assert done.returncode == 1
    (key,) = here.made
    said = done.stderr.replace("\n", " ")
    assert "[ST614]" in said
    assert f"delete the key called {key.friendly_name} in the Console" in said


def test_a_lost_answer_is_named_and_the_next_run_lists_the_key(newcomer: Newcomer) -> None:
    newcomer.emulator.faults.add(drop(applied=True), match=CREATE)
    done = newcomer.init()
    assert done.returncode == 1
    (orphan,) = newcomer.made
    assert "[ST613]" in done.stderr
    assert orphan.friendly_name in done.stderr.replace("\n", " ")
    assert not newcomer.dotenv.exists()
    again = newcomer.init("--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["leftovers"] == [orphan.friendly_name]


def test_a_key_that_twilio_does_not_prove_stays_and_says_so(newcomer: Newcomer) -> None:
    newcomer.emulator.faults.add(status(503), match="GET */Messages.json")
    done = newcomer.init()
    assert done.returncode == 1
    assert "The key stays in .env" in done.stderr
    assert "[ST321]" in done.stderr
    assert newcomer.holds(newcomer.made[0])
    assert (newcomer.directory / ".gitignore").read_text() == IGNORED
    assert newcomer.run("doctor", "--verify").returncode == 0


def test_a_server_that_is_down_changes_nothing(newcomer: Newcomer) -> None:
    with EmulatorServer(Emulator()) as gone:
        url = gone.url
    done = newcomer.init(SAFETWILIO_EMULATOR=url)
    assert done.returncode == 1
    assert "[ST601]" in done.stderr
    assert not list(newcomer.directory.iterdir())


def test_the_file_is_private_whatever_it_and_the_umask_were(newcomer: Newcomer) -> None:
    newcomer.dotenv.write_text("# mine\nOTHER=1\n")
    newcomer.dotenv.chmod(0o644)
    shell = ("sh", "-c", 'umask 0; exec "$@"', "sh")
    command = (*shell, *COMMAND)
    with newcomer.start(
        "init", "--account-sid", newcomer.sid, "--token-stdin", command=command
    ) as process:
        process.communicate(newcomer.token, timeout=60)
    assert process.returncode == 0
    assert stat.S_IMODE(newcomer.dotenv.stat().st_mode) == 0o600
    assert newcomer.dotenv.read_text().startswith("# mine\nOTHER=1\nTWILIO_ACCOUNT_SID=AC")


@pytest.mark.parametrize("obstacle", ["a directory", "a file for its directory", "no directory"])
def test_a_place_that_cannot_hold_it_is_found_out_before_anything_is_asked(
    newcomer: Newcomer, obstacle: str
) -> None:
    place = newcomer.directory / "sub" / ".env"
    if obstacle == "a directory":
        place.mkdir(parents=True)
    elif obstacle == "a file for its directory":
        place.parent.write_text("")
    with Terminal(newcomer, "init", "--backend", "dotenv:sub/.env") as terminal:
        assert terminal.end() == 1
    assert SID_PROMPT not in terminal.shown
    assert ("[ST308]" if obstacle == "a directory" else "[ST307]") in terminal.shown
    assert not newcomer.emulator.requests


def test_a_gitignore_that_cannot_be_written_stops_it_before_a_key_is_made(
    here: Here,
) -> None:
    (here.directory / ".gitignore").mkdir()
    done = here.init()
    assert done.returncode == 1
    assert "[ST307] The .gitignore beside the .env cannot be written." in done.stderr
    assert not here.made


def test_a_broken_line_is_reported_before_a_key_is_made(here: Here) -> None:
    here.dotenv.write_text("A='unterminated\nB=2\n")
    done = here.init()
    assert done.returncode == 1
    assert "[ST304]" in done.stderr
    assert not here.made


def _in_the_way(newcomer: Newcomer) -> Callable[[EmulatedRequest], bool]:
    """Match the creation of a key, and put a directory into the place of the .env just then."""

    def match(request: EmulatedRequest) -> bool:
        if (request.method, request.path[-10:]) == ("POST", "/Keys.json"):
            newcomer.dotenv.mkdir()
            return True
        return False

    return match
