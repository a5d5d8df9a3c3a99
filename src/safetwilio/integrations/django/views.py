"""A view for readiness probes."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from safetwilio.integrations.django.options import read
from safetwilio.integrations.starting import NOT_READY, READY, readiness


@never_cache
def health(_: HttpRequest) -> JsonResponse:
    """Return ``safetwilio.health()`` as JSON, with status 503 if it is not well.

    It needs no login, since a probe has none, and shows no secret: route it where probes reach it.
    """
    ok, state = readiness(client=read().client)
    return JsonResponse(state, status=READY if ok else NOT_READY)


health.login_required = False
