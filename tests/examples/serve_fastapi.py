"""Serve examples/access_tokens/fastapi_app.py on a free port, which is printed first.

Stands for an application whose login is a cookie with the user's id.
"""

from __future__ import annotations

import json
import socket
from typing import Annotated

import uvicorn
from fastapi import Cookie
from fastapi_app import app, signed_in_user


def by_cookie(session: Annotated[str | None, Cookie()] = None) -> str:
    return session or signed_in_user()


app.dependency_overrides[signed_in_user] = by_cookie
listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"port": listener.getsockname()[1], "session": "user_1"}), flush=True)  # noqa: T201 - for the test
uvicorn.Server(uvicorn.Config(app)).run(sockets=[listener])
