"""Webhooks behind a real nginx that ends TLS: what the server sees is not what Twilio called."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nginx import FORWARDED, HOST, Proxy, nginx

import integrations.small_apps
from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import served
from support import auth_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from integrations.hostile import Answer, Raw

APPS = Path(integrations.small_apps.__file__).parent
URL = f"https://{HOST}/hook"
GUNICORN = (
    *(sys.executable, "-m", "gunicorn", "small_apps:make_wsgi()", "--bind", "127.0.0.1:{port}"),
    *("--chdir", str(APPS)),
)
PLAIN_UVICORN = (
    *(sys.executable, "-m", "uvicorn", "small_apps:asgi", "--port", "{port}"),
    *("--app-dir", str(APPS)),
)
UVICORN = (*PLAIN_UVICORN, "--no-proxy-headers")

# What nginx hands over when nobody tells it to say more.
NOTHING: Mapping[str, str] = {}
PUBLIC_URL = {"TWILIO_WEBHOOK_PUBLIC_URL": f"https://{HOST}"}
PROXIES = {integrations.small_apps.PROXIES: "127.0.0.1"}

servers = pytest.mark.parametrize("argv", [GUNICORN, UVICORN], ids=["gunicorn", "uvicorn"])


@contextmanager
def behind_nginx(
    argv: tuple[str, ...], env: Mapping[str, str], headers: Mapping[str, str], folder: Path
) -> Iterator[Proxy]:
    with (
        served(argv, env=env, cwd=folder) as server,
        nginx(server.address, folder, headers=headers) as proxy,
    ):
        yield proxy


def ask(proxy: Proxy, raw: Raw) -> Answer:
    return send(proxy.address, raw.request, proxy.tls, HOST)


@servers
@pytest.mark.parametrize(
    ("settings", "headers"),
    [(PUBLIC_URL, NOTHING), (PUBLIC_URL, FORWARDED), (PROXIES, FORWARDED)],
    ids=["public URL", "public URL and forwarded headers", "a named proxy"],
)
def test_genuine_requests_are_accepted_and_others_are_not(
    argv: tuple[str, ...],
    settings: Mapping[str, str],
    headers: Mapping[str, str],
    tmp_path: Path,
) -> None:
    token = auth_token()
    env = {"TWILIO_WEBHOOK_AUTH_TOKEN": token, **settings}
    with behind_nginx(argv, env, headers, tmp_path) as proxy:
        wrong = {raw.name: ask(proxy, raw) for raw in genuine(URL, token)}
        assert {name: answer for name, answer in wrong.items() if answer.status != 200} == {}
        for raw in hostile(URL, token, auth_token()):
            assert ask(proxy, raw).status in refusals(raw.name), raw.name


@servers
def test_without_either_nothing_is_accepted(argv: tuple[str, ...], tmp_path: Path) -> None:
    """What Twilio called is in nginx's headers, and nobody has said that these count."""
    token = auth_token()
    env = {"TWILIO_WEBHOOK_AUTH_TOKEN": token}
    with behind_nginx(argv, env, FORWARDED, tmp_path) as proxy:
        statuses = {raw.name: ask(proxy, raw).status for raw in genuine(URL, token)}
    assert set(statuses.values()) == {403}, statuses


def test_uvicorn_hides_the_proxy_unless_told_not_to(tmp_path: Path) -> None:
    """By itself it believes X-Forwarded-For of loopback: then only a public URL helps."""
    token = auth_token()
    env = {"TWILIO_WEBHOOK_AUTH_TOKEN": token}
    form = genuine(URL, token)[0]
    for settings, status in ((PROXIES, 403), (PUBLIC_URL, 200)):
        with behind_nginx(PLAIN_UVICORN, env | settings, FORWARDED, tmp_path) as proxy:
            assert ask(proxy, form).status == status
