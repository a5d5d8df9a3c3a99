"""Whether Twilio signed a request: ``True``, or a refusal that shows nothing.

Nothing that is computed on the way is in the frame that raises: :meth:`Verifier._judge` returns a
word, and the word becomes an error elsewhere.
"""

from __future__ import annotations

import hmac
import logging
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from safetwilio.errors import UsageError
from safetwilio.webhooks import canonical
from safetwilio.webhooks.headers import read, signer
from safetwilio.webhooks.refusals import Reason, refusal, tell
from safetwilio.webhooks.signing import SigningSecrets

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from pydantic import SecretStr

    from safetwilio.webhooks.canonical import Params
    from safetwilio.webhooks.headers import Headers

QUIET = 60.0  # seconds between two warnings about the other Auth Token

_log = logging.getLogger("safetwilio.webhooks")


class Verifier:
    """Tells Twilio's requests from others.

    *secrets* returns the current :class:`SigningSecrets`, and is asked for each request, so that
    a rotation needs no restart; what it raises is passed on. With *shared_keys_only* a signature
    of an Auth Token is refused. *algorithms* are those allowed; Auth Tokens sign with
    ``HMAC_SHA1``. One verifier serves all threads.

    :raises UsageError: ST910, when *algorithms* are none that Twilio has.
    """

    def __init__(
        self,
        secrets: Callable[[], SigningSecrets],
        *,
        shared_keys_only: bool = False,
        algorithms: Sequence[str] = (canonical.SHA256, canonical.SHA1),
    ) -> None:
        """Take the secrets from *secrets* at each request."""
        chosen = frozenset((algorithms,) if isinstance(algorithms, str) else algorithms)
        if not chosen or not chosen <= canonical.DIGESTS.keys():
            raise UsageError(
                f"algorithms are some of {', '.join(canonical.DIGESTS)}; Twilio has no others.",
                code="ST910",
            )
        self._secrets = secrets
        self._shared_keys_only = shared_keys_only
        self._algorithms = chosen
        self._warned_at = -QUIET

    def verify(
        self,
        url: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        headers: Headers,
    ) -> Literal[True]:
        """Return ``True`` if Twilio signed the request to *url*, else raise.

        *url* is the one that Twilio called, with its query: see
        :func:`safetwilio.webhooks.signed_url`. A form has
        *params*, all of them, as a mapping or as pairs with names repeated; anything else that is
        posted has a *body*, exactly as it was received. A GET has neither: what is in the query
        is signed with the URL. *headers* are a mapping, pairs of ``str`` or ``bytes``, or a WSGI
        environ.

        :raises UnsignedRequest: ST401, without a signature.
        :raises SignatureMismatch: ST402, when the signature or the body's hash is another one, or
            something has a form that no request of Twilio's has.
        :raises SignerNotAllowed: ST403 for a SharedKey that is not configured, ST404 for an
            algorithm that is not allowed, ST405 for an Auth Token where only SharedKeys count.
        :raises UsageError: ST910, when both *params* and *body* are given.
        """
        try:
            secrets = _current(self._secrets, are_both=params is not None and body is not None)
        except BaseException:
            del url, params, body, headers
            raise
        verdict = self._judge(secrets, url, params, body, headers)
        del url, params, body, headers, secrets
        if isinstance(verdict, BaseException):
            raise verdict
        if isinstance(verdict, str):
            error = refusal(verdict)
            tell(error)
            raise error
        if verdict:
            self._warn(verdict)
        return True

    def _judge(
        self,
        secrets: SigningSecrets,
        url: str,
        params: Params | None,
        body: bytes | None,
        headers: Headers,
    ) -> Reason | int | BaseException:
        """Return why the request is refused, or the number of the secret that signed it.

        Whatever the request makes Python raise is a refusal too. What comes from outside in the
        middle of it (Ctrl-C, a soft time limit) is returned without the frames that held secrets.
        """
        try:
            return self._compare(secrets, url, params, body, headers)
        except Exception:  # noqa: BLE001 - nobody's input makes a 500
            return "malformed"
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            error.__traceback__ = error.__context__ = None
            return error

    def _compare(
        self,
        secrets: SigningSecrets,
        url: str,
        params: Params | None,
        body: bytes | None,
        headers: Headers,
    ) -> Reason | int:
        given, settings = read(headers)
        if not given:
            return "unsigned"
        candidates, algorithm = signers(
            secrets, settings, self._algorithms, shared_keys_only=self._shared_keys_only
        )
        if isinstance(candidates, str):
            return candidates
        wanted = canonical.body_hashes(url)
        if body and not wanted:
            return "no-body-hash"
        added = canonical.signed_params(params)
        texts = (variant.encode() + added for variant in canonical.port_variants(url))
        proofs = [candidate.get_secret_value().encode() for candidate in candidates]
        matched = matches(proofs, texts, algorithm, given.encode())
        # A form's parameters are signed; anything else, and nothing, is known by its hash.
        is_whole = bool(added) or has_hashes(body or b"", wanted)
        if not any(matched):
            return "wrong-signature"
        return matched.index(True) if is_whole else "wrong-body"

    def _warn(self, number: int) -> None:
        """Say that not the first Auth Token signed, once a minute."""
        now = time.monotonic()
        if now - self._warned_at < QUIET:
            return
        self._warned_at = now
        _log.warning(
            "[ST407] A webhook was signed with Auth Token %d of those configured, not with the "
            "first. While safetwilio rotate token is at work this is expected. Otherwise Twilio's "
            "primary Auth Token has changed: put that one first.",
            number + 1,
        )


def signers(
    secrets: SigningSecrets,
    settings: str | None,
    algorithms: Container[str],
    *,
    shared_keys_only: bool = False,
) -> tuple[Sequence[SecretStr] | Reason, str]:
    """Return which of *secrets* the header *settings* leaves, or why it is refused, and with what.

    The algorithm is one of *algorithms* where it is not refused.
    """
    key, algorithm = signer(settings, canonical.SHA1)
    if key is None and shared_keys_only:
        return "auth-token", algorithm
    if key is not None and key not in secrets.shared_keys:
        return "unknown-key", algorithm
    if algorithm not in algorithms:
        return "algorithm", algorithm
    return secrets.auth_tokens if key is None else (secrets.shared_keys[key],), algorithm


def matches(
    proofs: Sequence[bytes], texts: Iterable[bytes], algorithm: str, given: bytes
) -> list[bool]:
    """Return for each secret of *proofs* whether it signed one of *texts* as *given*.

    Of a text all are computed and compared, so that the time does not tell which one it was.
    After the text that was signed the others are not looked at.
    """
    matched = [False] * len(proofs)
    for text in texts:
        matched = [
            hmac.compare_digest(canonical.signature(proof, text, algorithm), given)
            for proof in proofs
        ]
        if any(matched):
            break
    return matched


def has_hashes(body: bytes, wanted: Sequence[str]) -> bool:
    """Return whether *body* has all hashes *wanted*; without any there is nothing to compare."""
    if not wanted:
        return True
    actual = sha256(body).hexdigest().encode()
    found = [hmac.compare_digest(actual, each.lower().encode()) for each in wanted]
    return all(found)


def _current(secrets: Callable[[], SigningSecrets], *, are_both: bool) -> SigningSecrets:
    if are_both:
        raise UsageError(
            "verify() takes the params of a form or the body of anything else, not both.",
            code="ST910",
        )
    current = secrets()
    if not isinstance(current, SigningSecrets):
        kind = type(current).__name__
        del current
        raise UsageError(f"secrets() returns SigningSecrets, not a {kind}.", code="ST910")
    return current
