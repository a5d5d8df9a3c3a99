"""Is this request from Twilio? Signatures checked over secrets handed in, without a framework.

:class:`Verifier` answers ``True`` or raises a :class:`~safetwilio.errors.WebhookError`; the
``url_from_…`` functions rebuild the URL that Twilio signed, and :func:`explain` says offline what
was wrong with a request that was refused. Where the secrets come from is known above this room.
"""

from safetwilio.webhooks.explain import Finding, explain
from safetwilio.webhooks.headers import delivery_id
from safetwilio.webhooks.signing import SigningSecrets
from safetwilio.webhooks.urls import signed_url, url_from_asgi, url_from_wsgi
from safetwilio.webhooks.verify import Verifier

__all__ = [
    "Finding",
    "SigningSecrets",
    "Verifier",
    "delivery_id",
    "explain",
    "signed_url",
    "url_from_asgi",
    "url_from_wsgi",
]
