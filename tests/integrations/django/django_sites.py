"""How the tests start the project that is in this folder."""

from __future__ import annotations

import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from integrations.served import Served

HERE = Path(__file__).parent
ORIGIN = "https://example.com"  # as in site_settings.py
GUNICORN = (
    *(sys.executable, "-m", "gunicorn", "django.core.wsgi:get_wsgi_application()"),
    *("--bind", "127.0.0.1:{port}"),
)
UVICORN = (
    *(sys.executable, "-m", "uvicorn", "--factory", "django.core.asgi:get_asgi_application"),
    *("--port", "{port}"),
)
SERVERS = {"gunicorn": GUNICORN, "uvicorn": UVICORN}
RUNSERVER = (sys.executable, str(HERE / "site_manage.py"), "runserver", "--noreload", "{port}")


def site(**more: str) -> dict[str, str]:
    """Return the environment of the project, with *more*."""
    return {
        "DJANGO_SETTINGS_MODULE": "site_settings",
        "PYTHONPATH": str(HERE),
        **more,
    }


class Running(NamedTuple):
    """A server with the project, and the *token* that it knows."""

    server: Served
    token: str

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the page of *path*."""
        connection = HTTPConnection(*self.server.address, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
