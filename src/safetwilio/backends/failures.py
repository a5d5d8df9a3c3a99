"""What can be wrong with a remote backend, told apart and said in the same words everywhere.

Each failure names the reference, who asked (never with what secret), and what to do. A backend
decides which one it is; nothing of the vendor's own message is passed on, because it may quote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from safetwilio.backends.interface import silent
from safetwilio.errors import BackendDenied, BackendError, BackendUnavailable
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from safetwilio.backends.locate import Reference

__all__ = ["Failures", "silent"]


class Failures(NamedTuple):
    """The failures of one *reference* to a *service* (``AWS Secrets Manager``).

    *identity* is who asks it, in words: a role's ARN, a service account, "the token in
    VAULT_TOKEN"; ``None`` as long as nobody knows.
    """

    reference: Reference
    service: str
    identity: str | None = None

    def denied(self, *, grant: str, verb: str = "read") -> BackendDenied:
        """Return ST330: the *service* knows who asks, and does not allow it; *grant* is the fix."""
        return BackendDenied(
            [self._problem("ST330", f"{self.service} does not let us {verb} the secret.", grant)]
        )

    def unauthenticated(self, *, fix: str, why: str = "") -> BackendDenied:
        """Return ST331: the *service* does not accept who asks, or there is nobody to ask as."""
        return BackendDenied(
            [self._problem("ST331", f"{self.service} does not accept our login.", fix, why)]
        )

    def unreachable(self, *, where: str, why: str, fix: str = "") -> BackendUnavailable:
        """Return ST332: nothing answered at *where*, or not in time; *why* says which."""
        return BackendUnavailable(
            [
                self._problem(
                    "ST332",
                    f"{self.service} did not answer.",
                    fix
                    or "Check the address, the network and any proxy in between. A slow but "
                    "working service may take timeout=SECONDS in the reference.",
                    f"{where}: {why}",
                )
            ]
        )

    def malformed(self, *, what: str, fix: str) -> BackendError:
        """Return ST333: there is a document, but it is not one that can be read."""
        return BackendError(
            [
                self._problem(
                    "ST333", f"The secret in {self.service} is not in a form we read.", fix, what
                )
            ]
        )

    def undecryptable(self, *, why: str, fix: str) -> BackendError:
        """Return ST334: the document is encrypted, and not with a key that is here."""
        return BackendError(
            [self._problem("ST334", "The secret could not be decrypted.", fix, why)]
        )

    def disabled(self, *, why: str, fix: str) -> BackendUnavailable:
        """Return ST335: it is there, but switched off: sealed, disabled, scheduled for deletion."""
        return BackendUnavailable(
            [
                self._problem(
                    "ST335", f"The secret in {self.service} is there, but switched off.", fix, why
                )
            ]
        )

    def no_such_version(self, *, what: str, fix: str) -> BackendError:
        """Return ST336: the secret is there, the version, stage or alias asked for is not."""
        return BackendError(
            [
                self._problem(
                    "ST336", f"The secret in {self.service} has no such version.", fix, what
                )
            ]
        )

    def intercepted(self, *, why: str, fix: str) -> BackendDenied:
        """Return ST337: a token made to be used once was used by somebody already."""
        return BackendDenied(
            [
                self._problem(
                    "ST337", "A wrapped token was used before: somebody may have it.", fix, why
                )
            ]
        )

    def changed_meanwhile(self, *, expected: str, found: str | None, fix: str = "") -> BackendError:
        """Return ST338: nothing was written, because *found* is there where *expected* was."""
        return BackendError(
            [
                self._problem(
                    "ST338",
                    f"The secret in {self.service} was changed by somebody else meanwhile.",
                    fix or "Nothing was written. Look at what is there now, and try again.",
                    f"expected {expected or 'nothing'}, found {found or 'nothing'}",
                )
            ]
        )

    def plain_http(self, *, where: str) -> BackendError:
        """Return ST339: *where* is plain HTTP to another machine."""
        return BackendError(
            [
                self._problem(
                    "ST339",
                    f"The address of {self.service} is plain HTTP, which anybody on the way reads.",
                    "Use https://. Plain HTTP goes to 127.0.0.1 and [::1] only.",
                    where,
                )
            ]
        )

    def not_written(self, *, why: str, fix: str) -> BackendError:
        """Return ST340: the new key could not be kept there; what was there before still is."""
        return BackendError(
            [self._problem("ST340", f"{self.service} did not keep the secret.", fix, why)]
        )

    def _problem(self, code: str, summary: str, fix: str, detail: str = "") -> Problem:
        found = [f"{self.reference.place}: the reference {self.reference}"]
        if self.identity:
            found.append(f"asked as {self.identity}")
        if detail:
            found.append(detail)
        return Problem(code=code, summary=summary, found_in=tuple(found), fix=fix)
