"""Requests signed as Twilio signs them, so that tests never switch the check off."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from safetwilio.errors import UsageError
from safetwilio.webhooks import canonical
from safetwilio.webhooks.headers import SETTINGS_HEADER, SIGNATURE_HEADER

if TYPE_CHECKING:
    from safetwilio.webhooks.canonical import Params


class SignedRequest(NamedTuple):
    """What a test sends: to *url*, with *headers*, and with what it signed."""

    url: str
    headers: dict[str, str]


def sign_request(  # noqa: PLR0913 - what Twilio can sign, and with what
    url: str,
    *,
    params: Params | None = None,
    body: bytes | None = None,
    auth_token: str | None = None,
    shared_key: tuple[str, str] | None = None,
    algorithm: str = canonical.SHA256,
) -> SignedRequest:
    """Return where to send a request to *url*, and with which headers, as Twilio would.

    A form has *params*; anything else that is posted has a *body*, whose hash is then in the URL;
    a GET has neither. It is signed with an *auth_token*, or with a *shared_key*, its id and its
    secret, and *algorithm*. Only for tests: give them made-up secrets.

    :raises UsageError: ST910, unless there is one secret, and not both *params* and *body*.
    """
    if (auth_token is None) == (shared_key is None) or (params is not None and body is not None):
        del auth_token, shared_key, params, body
        raise UsageError(
            "sign_request() takes one of auth_token and shared_key, and not both of params and "
            "body.",
            code="ST910",
        )
    if body is not None:
        mark = "&" if "?" in url else "?"
        url = f"{url}{mark}{canonical.BODY_HASH}={sha256(body).hexdigest()}"
    headers: dict[str, str] = {}
    secret = auth_token or ""
    if shared_key is None:
        algorithm = canonical.SHA1
    else:
        name, secret = shared_key
        headers[SETTINGS_HEADER] = f"key={name},algorithm={algorithm}"
    text = url.encode() + canonical.signed_params(params)
    proof = canonical.signature(secret.encode(), text, algorithm)
    return SignedRequest(url, {SIGNATURE_HEADER: proof.decode("ascii"), **headers})
