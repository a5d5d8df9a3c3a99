"""The exception tree. Every class has a code; no instance ever holds a secret.

::

    SafeTwilioError
    ├── ConfigurationError            ST1xx to ST5xx, carries .problems
    │   ├── MissingCredentials        ST1xx
    │   ├── InvalidCredentials        ST2xx
    │   ├── BackendError              ST3xx
    │   │   ├── BackendUnavailable
    │   │   └── BackendDenied
    │   ├── MasterTokenInUse          ST5xx
    │   └── MissingExtra              ST901, also an ImportError
    ├── WebhookError                  ST4xx, carries .reason and .status
    │   ├── UnsignedRequest           ST401
    │   ├── SignatureMismatch         ST402
    │   └── SignerNotAllowed          ST403 to ST405
    ├── RedactionError                ST7xx
    ├── RefusedBeforeSending          ST8xx
    ├── AccountOperationError         ST6xx
    ├── JournalError                  ST950 to ST952
    └── UsageError                    ST9xx, the call came at the wrong time or in the wrong form

``ConfigurationError`` is on purpose neither a ``ValueError`` nor an ``AssertionError``: pydantic
would wrap those and print the input. Errors of a request to Twilio are Twilio's own classes
(:class:`twilio.base.exceptions.TwilioRestException`) and live in ``safetwilio.clients``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from safetwilio.problems import DOCS_URL, Problem, command, faults, for_account, render

if TYPE_CHECKING:
    from collections.abc import Sequence


class SafeTwilioError(Exception):
    """Base of every error this package raises on its own account; *code* is its ``STnnn``."""

    code: str = "ST900"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Say *message*, which must hold no secret; *code* overrides the class's own."""
        super().__init__(message)
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        """Return the message with its code in front."""
        return f"[{self.code}] {self.args[0]}"

    @property
    def url(self) -> str:
        """The documentation page of this error's code."""
        return f"{DOCS_URL}/errors.html#{self.code.lower()}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the message and code only."""
        return _rebuild, (type(self), self.args[0], self.code)


class ConfigurationError(SafeTwilioError):
    """The configuration has *problems*; all of them are listed, none with its value."""

    prefix: ClassVar[str] = "ST"
    problems: tuple[Problem, ...]

    account: str | None = None
    is_running: bool = False

    def __init__(
        self, problems: Sequence[Problem], *, account: str | None = None, is_running: bool = False
    ) -> None:
        """Report *problems*, of which at least one is a fault, of the named *account*.

        If the program *is_running*, it goes on with the key it has.
        """
        problems = for_account(problems, account)
        report = render(
            problems,
            check=_check(problems, account),
            verdict="keeps the key it has" if is_running else None,
        )
        super().__init__(report, code=(faults(problems) or problems)[0].code)
        self.problems = problems
        if account is not None:
            self.account = account
        if is_running:
            self.is_running = True

    def of_account(self, account: str | None, *, is_running: bool = False) -> Self:
        """Return the same error as that of the named *account*, of a program that *is_running*."""
        return type(self)(self.problems, account=account, is_running=is_running)

    def __str__(self) -> str:
        """Return the whole report; its first line stands alone."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the problems, which hold no secret."""
        return _rebuild_configuration, (
            type(self),
            self.problems,
            self.account,
            self.is_running,
        )


class MissingCredentials(ConfigurationError):
    """Something needed is nowhere to be found (ST1xx)."""

    prefix = "ST1"


class InvalidCredentials(ConfigurationError):
    """Something is there, but it cannot be right (ST2xx)."""

    prefix = "ST2"


class BackendError(ConfigurationError):
    """A backend that was named could not give what it should (ST3xx)."""

    prefix = "ST3"


class BackendUnavailable(BackendError):
    """The backend did not answer, or not in time (ST3xx)."""


class BackendDenied(BackendError):
    """The backend answered that this process may not read the secret (ST3xx)."""


class MasterTokenInUse(ConfigurationError):
    """The master Auth Token (or a Main key) stands where a scoped key belongs (ST5xx)."""

    prefix = "ST5"


class MissingExtra(ConfigurationError, ImportError):
    """An optional library is not installed (ST901); the message names the pip command."""

    prefix = "ST9"


class RedactionError(SafeTwilioError):
    """Redaction could not be installed, or was given something it cannot hide (ST7xx)."""

    code = "ST700"


class RefusedBeforeSending(SafeTwilioError):
    """The request was stopped on this side; nothing was sent (ST8xx)."""

    code = "ST800"


class WebhookError(SafeTwilioError):
    """A webhook is refused, because nothing proves that it is Twilio's (ST4xx).

    *reason* is a short word for logs and metrics (``wrong-signature``); *status* is the HTTP status
    to answer with. Nothing of it is for the sender to read.
    """

    code = "ST400"
    reason: str = "refused"
    status: ClassVar[int] = 403

    def __init__(self, message: str, *, reason: str | None = None, code: str | None = None) -> None:
        """Say *message* and give the *reason* in a word."""
        super().__init__(message, code=code)
        if reason is not None:
            self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the message, the reason and the code."""
        return _rebuild_refusal, (type(self), self.args[0], self.reason, self.code)


class UnsignedRequest(WebhookError):
    """The request has no signature (ST401)."""

    code = "ST401"
    reason = "unsigned"


class SignatureMismatch(WebhookError):
    """Signature, body or form of the request are not what Twilio would send (ST402)."""

    code = "ST402"
    reason = "wrong-signature"


class SignerNotAllowed(WebhookError):
    """The SharedKey (ST403), the algorithm (ST404) or an Auth Token (ST405) is not allowed."""

    code = "ST403"
    reason = "unknown-key"


class AccountOperationError(SafeTwilioError):
    """An operation on the Twilio account did not succeed (ST6xx)."""

    code = "ST600"


class JournalError(SafeTwilioError):
    """The journal of a run was altered (ST950), is in use (ST951) or cannot be written (ST952)."""

    code = "ST950"


class UsageError(SafeTwilioError):
    """A call came at the wrong time or in the wrong form (ST9xx)."""

    code = "ST900"


def configuration_error(
    problems: Sequence[Problem],
    broken: type[ConfigurationError] | None = None,
    *,
    account: str | None = None,
) -> ConfigurationError:
    """Return the most telling subclass for *problems*: that of the first fault's code.

    Problems of one kind give that kind's class; a mixture gives the class of the first fault, so
    that ``except MissingCredentials`` never hides an Auth Token that lies about (ST5xx wins).
    *broken* is the class that a backend raised, kept where it leads (:class:`BackendDenied`);
    *account* is the named account, if it is one's.
    """
    codes = [p.code for p in faults(problems)]
    leading = next((c for c in codes if c.startswith("ST5")), codes[0] if codes else "ST")
    if broken is not None and leading.startswith(broken.prefix):
        return broken(problems, account=account)
    for kind in (MissingCredentials, InvalidCredentials, BackendError, MasterTokenInUse):
        if leading.startswith(kind.prefix):
            return kind(problems, account=account)
    return ConfigurationError(problems, account=account)


def internal_fault(error: Exception) -> SafeTwilioError:
    """Return an error that says where *error*, which nobody foresaw, came from; without frames."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        where = f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return SafeTwilioError(
        f"safetwilio could not start because of a fault of its own, or of a plug-in: "
        f"{type(error).__name__}{where}. Please report it."
    )


def _check(problems: Sequence[Problem], account: str | None) -> str:
    """Return the command that gives the report of *problems* without a start."""
    doctor = command("doctor", account)
    kinds = {problem.code.startswith("ST4") for problem in problems}
    if kinds == {True}:
        return f"{doctor} --webhooks"
    return f"{doctor}, and with --webhooks" if True in kinds else doctor


def combined(errors: Sequence[ConfigurationError]) -> ConfigurationError:
    """Return one error with the problems of all *errors*, of the first one's class."""
    return type(errors[0])([problem for error in errors for problem in error.problems])


def _rebuild(kind: type[SafeTwilioError], message: str, code: str) -> SafeTwilioError:
    return kind(message, code=code)


def _rebuild_refusal(
    kind: type[WebhookError], message: str, reason: str, code: str
) -> WebhookError:
    return kind(message, reason=reason, code=code)


def _rebuild_configuration(
    kind: type[ConfigurationError],
    problems: Sequence[Problem],
    account: str | None,
    is_running: bool,  # noqa: FBT001 - pickle gives it by its place
) -> ConfigurationError:
    return kind(problems, account=account, is_running=is_running)
