"""Django behind a real nginx, and its error page in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from nginx import HOST, nginx

from integrations.django.django_sites import GUNICORN, RUNSERVER, UVICORN, site
from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import served
from safetwilio.testing import EmulatorServer
from support import auth_token, key_secret, leaks, new_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# By itself uvicorn believes X-Forwarded-For of loopback, and hides that there is a proxy.
SERVERS = {"gunicorn": GUNICORN, "uvicorn": (*UVICORN, "--no-proxy-headers")}
PUBLIC_URL = '{"WEBHOOKS": {"PUBLIC_URL": "https://example.com"}}'
PROXIES = '{"WEBHOOKS": {"PROXIES": ["127.0.0.1"]}}'
NEITHER = '{"WEBHOOKS": {}}'
SECONDS = 60


def behind(options: str, token: str) -> dict[str, str]:
    """Return the environment of the project with the setting *options*."""
    key = new_key().environment()
    return site(SITE_SAFETWILIO=options, TWILIO_WEBHOOK_AUTH_TOKEN=token, **key)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("options", [PUBLIC_URL, PROXIES], ids=["public URL", "proxies"])
def test_behind_nginx_only_twilio_gets_in(server: str, options: str, tmp_path: Path) -> None:
    token = auth_token()
    env = behind(options, token)
    view = "plain" if server == "gunicorn" else "coroutine"
    url = f"https://{HOST}/{view}"
    with (
        served(SERVERS[server], "/health", env=env, cwd=tmp_path) as django,
        nginx(django.address, tmp_path) as proxy,
    ):
        for raw in genuine(url, token):
            assert send(proxy.address, raw.request, proxy.tls, HOST).status == 200, raw.name
        for raw in hostile(url, token, auth_token()):
            if "absolute-form" in raw.name or "X-Forwarded" in raw.name:
                continue  # nginx writes these anew
            status = send(proxy.address, raw.request, proxy.tls, HOST).status
            assert status in {*refusals(raw.name), 400, 405, 408}, raw.name


def test_behind_nginx_without_either_nobody_gets_in(tmp_path: Path) -> None:
    token = auth_token()
    env = behind(NEITHER, token)
    with (
        served(GUNICORN, "/health", env=env, cwd=tmp_path) as django,
        nginx(django.address, tmp_path) as proxy,
    ):
        raws = genuine(f"https://{HOST}/plain", token)
        statuses = {send(proxy.address, raw.request, proxy.tls, HOST).status for raw in raws}
    assert statuses == {403}


def rendered(url: str, folder: Path) -> str:
    """Return the page at *url* as a browser has it after its scripts have run."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "there is no browser: install Debian's chromium"
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=2000", "--dump-dom"),
    )
    done = subprocess.run(
        [browser, *options, url],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout


def failing(url: str, secret: str, twilio: EmulatorServer) -> Mapping[str, str]:
    """Return the environment of a project whose calls Twilio, at *url*, refuses."""
    return {
        "SAFETWILIO_EMULATOR": url,
        "TWILIO_ACCOUNT_SID": twilio.emulator.account.sid,
        "TWILIO_API_KEY": twilio.emulator.standard_key.sid,
        "TWILIO_API_SECRET": secret,
    }


@pytest.mark.parametrize("path", ["/call", "/async-call"])
def test_the_error_page_in_a_browser_shows_no_secret(path: str, tmp_path: Path) -> None:
    """That of runserver has the whole environment beside the frames, and every local variable."""
    secret, token = key_secret(), auth_token()
    with EmulatorServer() as twilio:
        sids = (twilio.emulator.account.sid, twilio.emulator.standard_key.sid)
        more = {"SITE_DEBUG": "1", "TWILIO_WEBHOOK_AUTH_TOKEN": token}
        env = site(**more, **failing(twilio.url, secret, twilio))
        with served(RUNSERVER, "/health", env=env, cwd=tmp_path) as django:
            page = rendered(django.url + path, tmp_path)

    assert "TwilioRestException" in page
    assert "<h2>Request information</h2>" in page or 'id="requestinfo"' in page
    assert "TWILIO_ACCOUNT_SID" in page
    assert "[TWILIO:account:" in page
    assert [sid for sid in sids if sid in page] == []
    assert leaks(page, [secret, token]) == []
