"""Made-up secrets and requests, signed as Twilio signs them; a seeded generator of many."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from safetwilio.testing.webhooks import sign_request
from safetwilio.webhooks import SigningSecrets, Verifier
from support import auth_token, key_secret

if TYPE_CHECKING:
    import random

URL = "https://example.com/sms?room=hall"
FORM = {"Body": "Your code is 123 456", "From": "+15005550006", "MessageSid": "SM1"}
KEY_ID = "webhooks_sharedkey_01"

_TEXT = string.ascii_letters + string.digits + "+-_. /%&=?#é漢\U0001f600\n"


class Secrets(NamedTuple):
    """Two Auth Tokens, the primary one first, and a SharedKey."""

    primary: str
    other: str
    shared: str

    def values(self) -> SigningSecrets:
        """Return what a verifier takes."""
        return SigningSecrets(
            (SecretStr(self.primary), SecretStr(self.other)), {KEY_ID: SecretStr(self.shared)}
        )

    def verifier(self, **options: Any) -> Verifier:
        """Return a verifier with *options*."""
        values = self.values()
        return Verifier(lambda: values, **options)


def new_secrets() -> Secrets:
    return Secrets(auth_token(), auth_token(), key_secret(40))


def one(token: str) -> Verifier:
    """Return a verifier with one Auth Token."""
    values = SigningSecrets((SecretStr(token),))
    return Verifier(lambda: values)


def random_text(chance: random.Random, longest: int = 12) -> str:
    return "".join(chance.choices(_TEXT, k=chance.randrange(longest)))


def random_url(chance: random.Random) -> str:
    """Return a URL as people configure them, without what Twilio's validator gets wrong."""
    host = chance.choice(["example.com", "a.b-c.example", "127.0.0.1"])
    port = chance.choice(["", "", ":80", ":443", ":8443", ":5000"])
    path = "".join(f"/{chance.choice(['sms', 'a%2Fb', '%2Bfoo', 'x;v=1', 'caf%C3%A9', ''])}" * 2)
    query = chance.choice(["", "?a=1", "?a=1&b=%20x", "?q=+&q=a%2Bb"])
    return f"{chance.choice(['http', 'https'])}://{host}{port}{path}{query}"


def random_form(chance: random.Random) -> dict[str, str]:
    names = ["Body", "From", "To", "body", "AccountSid", random_text(chance)]
    return {
        name: random_text(chance) for name in chance.sample(names, chance.randrange(len(names)))
    }


def signed_headers(url: str, token: str, params: Any = None) -> dict[str, str]:
    return sign_request(url, params=params, auth_token=token).headers
