"""The views of the project: every way to write one for Twilio, and one that fails."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.decorators import api_view, permission_classes
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from safetwilio import async_client, client
from safetwilio.integrations.django import (
    SuspiciousWebhook,
    TwilioWebhookMixin,
    health,
    twilio_webhook,
    verify_webhook,
)
from safetwilio.integrations.django.rest_framework import IsFromTwilio


def seen(request: HttpRequest) -> HttpResponse:
    """Answer with what the view sees."""
    form = {name: request.POST.getlist(name) for name in request.POST}
    return JsonResponse({"form": form, "body": len(request.body)})


@twilio_webhook
def plain(request: HttpRequest) -> HttpResponse:
    """Answer Twilio."""
    return seen(request)


@twilio_webhook
async def coroutine(request: HttpRequest) -> HttpResponse:
    """Answer Twilio."""
    return seen(request)


class Answers(View):
    """A class with the methods that Twilio uses."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer Twilio."""
        return seen(request)

    post = get


class AsyncAnswers(View):
    """The same with coroutines."""

    async def get(self, request: HttpRequest) -> HttpResponse:
        """Answer Twilio."""
        return seen(request)

    async def post(self, request: HttpRequest) -> HttpResponse:
        """Answer Twilio."""
        return seen(request)


class Mixed(TwilioWebhookMixin, Answers):
    """Guarded by the mixin."""


class AsyncMixed(TwilioWebhookMixin, AsyncAnswers):
    """Guarded by the mixin."""


@method_decorator(twilio_webhook, name="dispatch")
class Decorated(Answers):
    """Guarded by the decorator."""


@method_decorator(twilio_webhook, name="dispatch")
class AsyncDecorated(AsyncAnswers):
    """Guarded by the decorator."""


def parsed(request: Request) -> Response:
    """Answer with what the framework has parsed: a form, or JSON."""
    data: Any = {} if request.content_type == "application/octet-stream" else request.data
    form = {name: data.getlist(name) for name in data} if hasattr(data, "getlist") else {}
    return Response({"form": form, "body": len(request.body)})


@api_view(["GET", "POST"])
@permission_classes([IsFromTwilio])
def api(request: Request) -> Response:
    """Answer Twilio with what the framework has parsed."""
    return parsed(request)


@twilio_webhook
@api_view(["GET", "POST"])
def guarded_api(request: Request) -> Response:
    """Answer Twilio with what the framework has parsed."""
    return parsed(request)


class MixedApi(TwilioWebhookMixin, APIView):
    """Guarded by the mixin, and served by the framework."""

    def get(self, request: Request) -> Response:
        """Answer Twilio with what the framework has parsed."""
        return parsed(request)

    post = get


def by_hand(request: HttpRequest) -> HttpResponse:
    """Answer with the reason."""
    try:
        verify_webhook(request)
    except SuspiciousWebhook as error:
        return HttpResponse(error.reason, status=error.status)
    return seen(request)


by_hand.csrf_exempt, by_hand.login_required = True, False  # type: ignore[attr-defined]


def call(_: HttpRequest) -> HttpResponse:
    """Fail inside a call of Twilio."""
    sid = client.messages.create(to="+15005550006", from_="+15005550001", body="Hello").sid
    return HttpResponse(sid)


async def async_call(_: HttpRequest) -> HttpResponse:
    """Fail inside a call of Twilio."""
    sent = await async_client.messages.create_async(
        to="+15005550006", from_="+15005550001", body="Hi"
    )
    return HttpResponse(sent.sid)


call.login_required = async_call.login_required = False  # type: ignore[attr-defined]

KINDS = {
    "plain": plain,
    "coroutine": coroutine,
    "mixed": Mixed.as_view(),
    "async-mixed": AsyncMixed.as_view(),
    "decorated": Decorated.as_view(),
    "async-decorated": AsyncDecorated.as_view(),
    "api": api,
    "guarded-api": guarded_api,
    "mixed-api": MixedApi.as_view(),
    "by-hand": by_hand,
}
urlpatterns = [
    path("health", health),
    path("call", call),
    path("async-call", async_call),
    *(re_path(rf"^{name}(?![\w-])", view) for name, view in KINDS.items()),
]
