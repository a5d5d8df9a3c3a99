"""What the commands ask people for, or read where there is nobody to ask."""

from __future__ import annotations

import getpass
import os
import sys
import warnings

from pydantic import SecretStr

from safetwilio.cli.output import say, say_wrapped
from safetwilio.errors import UsageError

_LONGEST_LINE = 4096


def ask_for_account_sid(given: str | None, account: str | None) -> str:
    """Return the Account SID: *given*, or the environment's for *account*, or what is typed.

    What is typed is checked at once (:class:`safetwilio.errors.InvalidCredentials`, ST2xx). Raises
    :class:`safetwilio.errors.UsageError` (ST908) if there is nobody to ask, or no answer.
    """
    from safetwilio.backends.documents import variable
    from safetwilio.provisioning import require_account_sid

    if given is not None:
        return given.strip()
    name = variable("account_sid", account)
    if os.environ.get(name, "").strip():
        say(f"The Account SID is that of env {name}.")
        return os.environ[name].strip()
    if not somebody_is_there():
        raise UsageError(
            "There is no terminal to ask at: give --account-sid SID, and pipe the Auth Token in "
            "with --token-stdin.",
            code="ST908",
        )
    answer = _line("Account SID: ")
    if not answer:
        raise _no_answer("Account SID")
    require_account_sid(answer)  # before the token is typed for nothing
    return answer


def ask_for_token(*, from_stdin: bool) -> SecretStr:
    """Return the Auth Token, typed without showing it, or *from_stdin* where there is no terminal.

    Raises :class:`safetwilio.errors.UsageError` (ST908) if there is nobody to ask, no answer, or
    a terminal that would show it.
    """
    return _asked("Auth Token", "--token-stdin", from_stdin=from_stdin)


def ask_for_token_of(account: str | None, account_sid: str, *, from_stdin: bool) -> SecretStr:
    """Return the Auth Token of *account* with the SID *account_sid*, as :func:`ask_for_token` does.

    Each one has its line of standard input.
    """
    from safetwilio.backends.locate import ADMIN_BACKEND_VARIABLE, backend_variable
    from safetwilio.credentials import mask

    name = f"the account {account}" if account else "the default account"
    return _asked(
        f"Auth Token of {name} {mask('account', account_sid)}",
        "--token-stdin",
        from_stdin=from_stdin,
        instead=f"let {backend_variable(account, ADMIN_BACKEND_VARIABLE)} name the place of what "
        "may change it",
    )


def ask_for_end(account_sid: str, length: int, place: str) -> str:
    """Return what somebody types for the last *length* characters of *account_sid*.

    Its mask says which one it is; it can be read in *place*. No answer is an empty one.
    """
    from safetwilio.credentials import mask

    say_wrapped(
        f"The Account SID of {mask('account', account_sid)} is on the first page of "
        f"https://console.twilio.com, and where the secret is: {place}"
    )
    return _line(f"To do it, type the last {length} characters of the Account SID (Enter: stop): ")


def ask_for_secret(*, from_stdin: bool) -> SecretStr:
    """Return any secret, as :func:`ask_for_token` does."""
    return _asked("Secret", "--stdin", from_stdin=from_stdin)


def ask_for_identity() -> SecretStr | None:
    """Return what opens a sealed file, typed without showing it; ``None`` without an answer."""
    try:
        return SecretStr(_typed("Identity (AGE-SECRET-KEY-1...; Enter: make another key)", ""))
    except UsageError:
        return None


def _asked(what: str, option: str, *, from_stdin: bool, instead: str = "") -> SecretStr:
    if somebody_is_there():
        return SecretStr(_typed(what, option))
    if not from_stdin:
        way = f", or {instead}" if instead else ""
        raise UsageError(
            f"There is no terminal to ask for the {what} at: pipe it in with {option}{way}.",
            code="ST908",
        )
    try:
        line = sys.stdin.readline(_LONGEST_LINE) if sys.stdin is not None else ""
    except UnicodeDecodeError:
        line = ""
    answer = line.strip().strip("\ufeff")
    if not answer:
        raise _no_answer(what)
    return SecretStr(answer)


def _line(prompt: str) -> str:
    """Return what is typed at the *prompt*, nothing if nobody answers."""
    print(prompt, end="", file=sys.stderr, flush=True)
    try:
        return input().strip()
    except EOFError:
        say("")  # end the line of the prompt
        return ""


def _typed(what: str, option: str) -> str:
    hidden = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            answer = getpass.getpass(f"{what} (not shown, not stored): ").strip()
    except EOFError:
        say("")  # end the line of the prompt
        answer = ""
    except getpass.GetPassWarning:
        hidden = False
    if not hidden:
        raise UsageError(
            f"This terminal would show the {what}: pipe it in with {option}.", code="ST908"
        )
    if not answer:
        raise _no_answer(what)
    return answer


def somebody_is_there() -> bool:
    """Return whether there is a terminal to ask at."""
    return sys.stdin is not None and sys.stdin.isatty()


def _no_answer(what: str) -> UsageError:
    return UsageError(f"No {what} was given; nothing was changed.", code="ST908")
