"""An application with each way to guard a webhook, at a path of its own, for GET and for POST."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response
from starlette.applications import Starlette
from starlette.routing import Route

from safetwilio.integrations.fastapi import TwilioWebhook, health_response, twilio_lifespan

METHODS = ["GET", "POST"]

webhook = TwilioWebhook()
app = FastAPI(lifespan=twilio_lifespan(webhook, client=False))
guarded = APIRouter(route_class=webhook.route_class, prefix="/router")
by_form = APIRouter(route_class=webhook.route_class, prefix="/form")


@guarded.api_route("", methods=METHODS)
@guarded.api_route("/{rest:path}", methods=METHODS)
@app.api_route("/depends", methods=METHODS, dependencies=[Depends(webhook)])
@app.api_route("/depends/{rest:path}", methods=METHODS, dependencies=[Depends(webhook)])
async def see(request: Request) -> Response:
    """Read all that there is."""
    await request.form()
    await request.body()
    return Response("ok")


@by_form.post("")
async def form(Body: Annotated[str, Form()], MediaUrl: Annotated[list[str], Form()]) -> Any:  # noqa: N803
    """Take parameters as FastAPI gives them."""
    return [Body, MediaUrl]


async def plain(request: Request) -> Response:
    """Do without FastAPI."""
    await webhook(request)
    return await see(request)


app.include_router(guarded)
app.include_router(by_form)
app.add_api_route("/ready", health_response)
starlette = Starlette(
    routes=[Route(f"/plain{rest}", plain, methods=METHODS) for rest in ("", "/{rest:path}")],
    lifespan=twilio_lifespan(webhook, client=False),
)
app.mount("/starlette", starlette)
