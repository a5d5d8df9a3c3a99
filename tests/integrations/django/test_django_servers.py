"""A Django project under its real servers: who gets in, and what stops them at the start."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from integrations.django.django_sites import ORIGIN, SERVERS, Running, site
from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import ended, served
from support import auth_token, leaks, new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# How the project writes its views; see site_urls.py.
KINDS = (
    *("plain", "coroutine", "mixed", "async-mixed", "decorated", "async-decorated"),
    *("api", "guarded-api", "mixed-api", "by-hand"),
)
# For each of hundreds of requests: the decorator, the mixin and the permission.
HALF = ("plain", "coroutine", "async-mixed", "api")


@pytest.fixture(scope="module", params=SERVERS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    token = auth_token()
    env = site(TWILIO_WEBHOOK_AUTH_TOKEN=token, **new_key().environment())
    folder = tmp_path_factory.mktemp("site")
    with served(SERVERS[request.param], "/health", env=env, cwd=folder) as server:
        yield Running(server, token)


@pytest.mark.parametrize("kind", KINDS)
def test_what_twilio_signed_reaches_the_view_whole(kind: str, running: Running) -> None:
    url = f"{ORIGIN}/{kind}"
    answers = {
        raw.name: send(running.server.address, raw.request) for raw in genuine(url, running.token)
    }
    assert {name: answer for name, answer in answers.items() if answer.status != 200} == {}
    seen = {name: json.loads(answer.body) for name, answer in answers.items()}
    assert any(page["form"] for page in seen.values())
    assert any(page["body"] and not page["form"] for page in seen.values())


@pytest.mark.parametrize("kind", HALF)
def test_what_twilio_did_not_sign_gets_an_empty_403(kind: str, running: Running) -> None:
    raws = hostile(f"{ORIGIN}/{kind}", running.token, auth_token())
    assert len(raws) >= 40
    wrong = {}
    for raw in raws:
        answer = send(running.server.address, raw.request)
        if answer.status not in refusals(raw.name):
            wrong[raw.name] = answer
        elif answer.status == 403 and kind not in {"api", "by-hand"}:
            assert answer.body == b"", raw.name
    assert wrong == {}
    assert leaks(running.server.output(), [running.token]) == []


def test_the_reason_is_in_the_log_and_not_in_the_answer(running: Running) -> None:
    assert running.get("/plain") == (403, "")
    assert "[ST401] A webhook was refused: unsigned" in running.server.output()


def test_a_permission_says_nothing_either(running: Running) -> None:
    assert running.get("/api") == (403, "{}")


def test_a_probe_sees_health_without_a_login(running: Running) -> None:
    status, text = running.get("/health")
    assert (status, json.loads(text)["ok"]) == (200, True)
    assert leaks(text, [running.token]) == []


@pytest.mark.parametrize("server", SERVERS)
def test_a_missing_secret_stops_the_server_with_the_report(server: str, tmp_path: Path) -> None:
    key = new_key()
    done = ended(SERVERS[server], env=site(**key.environment()), cwd=tmp_path)

    assert done.code != 0
    assert re.search(
        r"^\[ST410\] There is no secret to check webhook signatures", done.output, re.MULTILINE
    )
    assert "python manage.py check" in done.output
    assert leaks(done.output, [key.secret]) == []


@pytest.mark.parametrize("server", SERVERS)
def test_everything_that_is_wrong_is_said_at_once(server: str, tmp_path: Path) -> None:
    token = auth_token()
    env = site(TWILIO_ACCOUNT_SID="AC1", TWILIO_WEBHOOK_AUTH_TOKEN=token[1:])
    done = ended(SERVERS[server], env=env, cwd=tmp_path)

    assert done.code != 0
    for code in ("ST104", "ST411"):
        assert f"[{code}]" in done.output
    assert leaks(done.output, [token]) == []
