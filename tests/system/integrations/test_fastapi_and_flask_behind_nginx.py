"""FastAPI and Flask under their servers with workers, behind a real nginx that ends TLS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nginx import FORWARDED, HOST, nginx

import integrations.served
from integrations.hostile import genuine, hostile, refusals, send
from integrations.served import served
from support import auth_token

if TYPE_CHECKING:
    from collections.abc import Mapping

SITES = Path(integrations.served.__file__).parent
UVICORN = (
    *(sys.executable, "-m", "uvicorn", "--port", "{port}", "--workers", "2"),
    *("--app-dir", str(SITES / "fastapi"), "fastapi_site:app"),
)
GUNICORN = (
    *(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2"),
    *("--chdir", str(SITES / "flask"), "flask_site:create_app()"),
)
NGINX = 400  # what it says itself to what is no HTTP


@pytest.mark.parametrize("headers", [{}, FORWARDED], ids=["nothing said", "X-Forwarded-..."])
@pytest.mark.parametrize(
    ("command", "path"),
    [(UVICORN, "/router"), (UVICORN, "/depends"), (GUNICORN, "/sync"), (GUNICORN, "/async")],
    ids=["fastapi-router", "fastapi-depends", "flask-sync", "flask-async"],
)
def test_genuine_requests_are_accepted_and_others_are_not(
    command: tuple[str, ...], path: str, headers: Mapping[str, str], tmp_path: Path
) -> None:
    token, url = auth_token(), f"https://{HOST}{path}"
    env = {
        "TWILIO_WEBHOOK_AUTH_TOKEN": token,
        "TWILIO_WEBHOOK_PUBLIC_URL": f"https://{HOST}",
    }
    with (
        served(command, "/ready", env, tmp_path) as server,
        nginx(server.address, tmp_path, headers=headers) as proxy,
    ):
        for raw in genuine(url, token):
            answer = send(proxy.address, raw.request, proxy.tls, HOST)
            assert answer == (200, b"ok"), raw.name
        for raw in hostile(url, token, auth_token()):
            answer = send(proxy.address, raw.request, proxy.tls, HOST)
            if "absolute-form" not in raw.name:  # nginx makes it what it would have been without
                assert answer.status in {*refusals(raw.name), NGINX, 408}, (raw.name, answer)
        assert "Traceback" not in server.output()
