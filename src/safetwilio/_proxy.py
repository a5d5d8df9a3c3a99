"""The stable object behind ``from safetwilio import client``.

It may be imported once at the top of a module and kept for good: every use goes to the client that
is current then, also after ``reset()`` in tests or a fork.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast

from safetwilio import _boot
from safetwilio.clients.rest import TwilioClient
from safetwilio.credentials import refuse_pickle
from safetwilio.errors import ConfigurationError
from safetwilio.settings import require_account_name


class ClientProxy:
    """Stands for the :class:`TwilioClient` of one account; public attributes are the client's.

    Names that start with an underscore are refused, so that test runners, mocks and inspectors
    that probe for protocols neither boot nor reach into the client.
    """

    __slots__ = ("_ClientProxy__account", "__weakref__")

    def __init__(self, account: str | None) -> None:
        """Stand for *account*; ``None`` is the default one."""
        object.__setattr__(self, "_ClientProxy__account", account)

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":  # isinstance(client, TwilioClient) holds
            return TwilioClient
        if name.startswith("_"):
            if name.startswith("__") and name.endswith("__"):
                return object.__getattribute__(self, name)
            raise AttributeError(_refusal(name))
        return getattr(_current(self), name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            raise AttributeError(_refusal(name))
        setattr(_current(self), name, value)

    def __delattr__(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(_refusal(name))
        delattr(_current(self), name)

    def __dir__(self) -> list[str]:
        return [name for name in dir(TwilioClient) if not name.startswith("_")]

    def __repr__(self) -> str:
        account = object.__getattribute__(self, "_ClientProxy__account")
        return f"<safetwilio client of account {account or _boot.DEFAULT!r}>"

    def __copy__(self) -> ClientProxy:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ClientProxy:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        refuse_pickle("safetwilio.client")


def _current(proxy: ClientProxy) -> TwilioClient:
    return _boot.get_account(object.__getattribute__(proxy, "_ClientProxy__account")).client


def _refusal(name: str) -> str:
    return (
        f"safetwilio.client has no {name!r}: names that start with an underscore stay inside. "
        "Subclass safetwilio.clients.TwilioClient to extend the client."
    )


_proxies: dict[str | None, ClientProxy] = {}


def default_client() -> ClientProxy:
    """Boot (unless ``SAFETWILIO_BOOT=off``) and return the default account's proxy."""
    return _booted(None)


def get_client(account: str | None = None) -> TwilioClient:
    """Boot *account* and return its client; ``None`` is the default account.

    A named account reads ``TWILIO_NAME_…`` or ``SAFETWILIO_BACKEND_NAME``; its credentials never
    meet another's. Raises :class:`safetwilio.errors.ConfigurationError` (ST1xx to ST5xx), and
    :class:`safetwilio.errors.UsageError` (ST906) for a name that cannot be one.
    """
    name = None if account is None else require_account_name(account)
    return cast("TwilioClient", _booted(name))


def _booted(account: str | None) -> ClientProxy:
    """Return the proxy of *account* once it has booted; a failure shows no frames but this one.

    The report is what the reader needs, and the way to it inside this package says nothing.
    """
    failure: ConfigurationError | None = None
    if not _boot.is_switched_off():
        try:
            _boot.get_account(account)
        except ConfigurationError as error:
            failure = error.with_traceback(None)
    if failure is not None:
        raise failure
    return _proxy(account)


def _proxy(account: str | None) -> ClientProxy:
    return _proxies.setdefault(account, ClientProxy(account))
