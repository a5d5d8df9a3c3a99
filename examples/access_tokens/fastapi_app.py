"""A FastAPI app that gives a signed-in user an access token for calls; the key stays here.

Run it: TWIML_APP_SID=AP… uvicorn fastapi_app:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from twilio.jwt.access_token.grants import VoiceGrant

from safetwilio import access_token, boot


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Ask Twilio about the key at the start: with a Restricted one nothing could be signed."""
    boot(verify=True)
    yield


app = FastAPI(lifespan=lifespan)


def signed_in_user() -> str:
    """Return the id of who is signed in. YOUR LOGIN GOES HERE; until then nobody is."""
    raise HTTPException(401, "Sign in first.")


@app.post("/access-token")
def give_access_token(
    user: Annotated[str, Depends(signed_in_user)], response: Response
) -> dict[str, str]:
    """Give *user* a JWT for a quarter of an hour of calls, which no cache may keep."""
    calls = VoiceGrant(outgoing_application_sid=os.environ["TWIML_APP_SID"])
    access = access_token(user, calls, ttl=900)
    response.headers["Cache-Control"] = "no-store"
    return {"token": access.jwt(), "expires_at": access.expires_at.isoformat()}
