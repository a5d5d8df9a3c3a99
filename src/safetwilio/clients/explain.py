"""A refusal by Twilio in plain words: which key, from where, and the likely causes in order."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from twilio.http.response import Response

from safetwilio.credentials import ApiKey, mask
from safetwilio.redaction.engine import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.credentials import AuthToken

_AUTHENTICATE = 20003
_PERMISSION = 70051
_TEST_CREDENTIALS = 20008
_ADMIN_ONLY = re.compile(r"/Accounts(?:/AC[0-9a-fA-F]{32})?\.json|/(?:Signing)?Keys(?:[./?]|$)")


class ExplainedResponse(Response):
    """Twilio's answer with our words in its message; ``original`` is what Twilio wrote.

    Its ``repr`` is the explanation, because ``.list()`` raises a bare ``TwilioException`` that
    shows nothing else.
    """

    def __init__(self, answer: Response, payload: dict[str, Any], field: str, words: str) -> None:
        """Put *words* into the *field* of the error *payload* of *answer*."""
        super().__init__(answer.status_code, json.dumps({**payload, field: words}), answer.headers)
        self.original = answer.text
        self._words = words

    def __repr__(self) -> str:
        """Return status, code and explanation."""
        return f"HTTP {self.status_code}: {self._words}"


def may_be_rotated(uri: str) -> bool:
    """Return whether a refusal of *uri* may mean that the key is gone, and not its kind."""
    return _ADMIN_ONLY.search(uri) is None


def explained(
    answer: Response,
    credential: ApiKey | AuthToken,
    uri: str,
    region: str | None,
    sought: float = 0.0,
) -> Response:
    """Return *answer* to a request for *uri* with its refusal explained, or as it is.

    *region* is the client's region, which is a common cause; *sought* says for how many seconds
    another key has been looked for (ST342).
    """
    try:
        payload = json.loads(answer.text)
    except ValueError:
        return answer
    if not isinstance(payload, dict) or not isinstance(credential, ApiKey):
        return answer
    field = "detail" if {"type", "title", "status", "code"} <= payload.keys() else "message"
    said = redact(str(payload.get(field) or ""))
    words = _words(payload.get("code"), credential, uri, region)
    if words is None:
        return answer
    if sought and payload.get("code") == _AUTHENTICATE:
        words = f"[ST342] No other key was found (for {sought:.0f} s now). {words}"
    return ExplainedResponse(answer, payload, field, f"{words} Twilio said: {said}")


def _words(code: object, key: ApiKey, uri: str, region: str | None) -> str | None:
    which = f"the API key {mask('key', key.sid)} (from {key.origin})"
    if code == _AUTHENTICATE:
        causes = "; ".join(f"({n}) {cause}" for n, cause in enumerate(_causes(uri, region), 1))
        account = mask("account", key.account_sid)
        return (
            f"Twilio refused {which} for account {account}. Likely causes, most likely first: "
            f"{causes}. Find out which: safetwilio doctor --verify."
        )
    if code == _PERMISSION:
        return (
            f"Twilio knows {which}, but its policy does not allow this request. Add the "
            "permission to the key's policy, or use a key that has it."
        )
    if code == _TEST_CREDENTIALS:
        return f"Twilio takes {which} for test credentials, which may not call this resource."
    return None


def _causes(uri: str, region: str | None) -> Iterator[str]:
    if _ADMIN_ONLY.search(uri):
        yield "only a Main key or the Auth Token may call /Accounts and /Keys"
    if region:
        yield f"the key was not made in region {region}"
    yield "the key was deleted or rotated"
    yield "the secret or the account SID belongs to another key"
    yield "the account is suspended or closed"
    if not region:
        yield "the key was made in another region than the default, us1"
    yield "a proxy removes the Authorization header"
