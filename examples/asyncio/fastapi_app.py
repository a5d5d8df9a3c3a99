"""Send a message from FastAPI: run with `uvicorn fastapi_app:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from safetwilio import async_client


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the connections to Twilio before the server stops; the loop would do it, too."""
    yield
    await async_client.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/messages")
async def tell(to: str, body: str) -> dict[str, str | None]:
    """Send *body* to the number *to*."""
    sent = await async_client.messages.create_async(to=to, from_="+15005550006", body=body)
    return {"sid": sent.sid, "status": sent.status}
