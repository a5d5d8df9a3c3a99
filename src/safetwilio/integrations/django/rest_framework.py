"""For Django REST framework: a permission that only Twilio's requests have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission

from safetwilio.errors import WebhookError
from safetwilio.integrations.django.options import require_webhooks
from safetwilio.integrations.django.webhooks import verify

if TYPE_CHECKING:
    from rest_framework.request import Request

if settings.configured:  # in a project it is; documentation tools import without one
    require_webhooks()


class Refused(PermissionDenied):
    """The request is not Twilio's; the answer is 403 and says nothing."""

    def __init__(self) -> None:
        """Say nothing."""
        super().__init__(detail={})


class IsFromTwilio(BasePermission):
    """Lets only Twilio's requests to the view, whose ``request.data`` works as ever.

    It raises instead of answering ``False``, which may become a 401 or a redirect.
    """

    def has_permission(self, request: Request, view: Any) -> Literal[True]:
        """Return ``True`` if Twilio sent *request*, else raise.

        :raises Refused: the request is refused; the reason is in the log ``safetwilio.webhooks``.
        """
        del view
        is_refused = False
        try:
            verify(request._request)  # noqa: SLF001 - what was received, not what DRF makes of it
        except WebhookError:
            is_refused = True
        if is_refused:
            raise Refused
        return True
