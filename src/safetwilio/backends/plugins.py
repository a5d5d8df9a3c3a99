"""Plug-ins: backends of other packages, whose failures are not written with our care.

Whatever one raises may quote the secret, in its text or in the locals of its frames. Our own
errors pass, alone; of any other nothing is kept but the name of its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from safetwilio.backends.documents import is_secret_field, is_there, wanted_fields
from safetwilio.backends.interface import Absent, Found, seal
from safetwilio.errors import BackendError, ConfigurationError
from safetwilio.interrupts import is_of_signal_handler
from safetwilio.problems import DOCS_URL, Attempt, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from importlib.metadata import EntryPoint

    from safetwilio.backends.locate import Reference

ENTRY_POINTS = "safetwilio.backends"
_WRITING = frozenset({"require_writable", "save"})


class Plugin:
    """The backend of a plug-in: it has the same public methods, which raise only our errors."""

    def __init__(self, reference: Reference, factory: Callable[[Reference], Any]) -> None:
        """Make the backend for *reference* with *factory*."""
        self._reference = reference
        self._methods: Mapping[str, Callable[..., Any]] = self._call(
            "making it", lambda: _public_methods(factory(reference))
        )
        # On the instance, where isinstance() with a protocol looks for them.
        vars(self).update({name: self._guarded(name) for name in self._methods})
        if "save" in self._methods and not _takes_replaces(self._methods["save"]):
            vars(self).update(dict.fromkeys(_WRITING & vars(self).keys(), self._refuse_to_write))

    @property
    def reads(self) -> bool:
        """Whether it can load; one that cannot keeps keys only."""
        return "load" in self._methods

    def load(self, account: str | None) -> Found | Absent:  # noqa: ARG002 - the contract's
        """Return that nothing is here: this one of a plug-in that can only write."""
        return Absent((Attempt(self._reference.scheme, self._reference.shown, "cannot be read"),))

    def _guarded(self, name: str) -> Callable[..., Any]:
        """Return the method *name*; its frames do not show the plug-in's object, which may tell."""

        def guarded(*arguments: Any, **options: Any) -> Any:
            def call() -> Any:
                answer = self._methods[name](*arguments, **options)
                return _checked(self._reference, name, answer)

            return self._call(f"{name}()", call)

        return guarded

    def _refuse_to_write(self, *_: Any, **__: Any) -> NoReturn:
        """Say before a key is made what a call would say after."""
        raise BackendError(
            [
                Problem(
                    code="ST311",
                    summary=f'The backend plug-in "{self._reference.scheme}" cannot keep a key.',
                    found_in=(
                        _place(self._reference),
                        "its save() takes no argument replaces, so that it could write over the "
                        "key of somebody else",
                    ),
                    fix="Update the plug-in, or name another backend. Its author finds what "
                    f"save() must do at {DOCS_URL}/backends/index.html",
                )
            ]
        )

    def _call(self, step: str, action: Callable[[], Any]) -> Any:
        failure: ConfigurationError
        try:
            return action()
        except ConfigurationError as error:
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        except Exception as error:
            if is_of_signal_handler(error):  # all else is the plug-in's, which may raise anything
                raise
            failure = BackendError([_failed(self._reference, step, error)])
        raise failure


def open_plugin(reference: Reference, shipped: Collection[str]) -> Plugin:
    """Return the backend that the plug-in for *reference* makes.

    *shipped* are the schemes to name beside those of plug-ins if there is none.
    Raises :class:`safetwilio.errors.BackendError` (ST301 for an unknown scheme, ST310 for a
    plug-in that does not load, ST311 for one that fails).
    """
    from importlib.metadata import entry_points

    found = entry_points(group=ENTRY_POINTS)
    match = next((point for point in found if point.name == reference.scheme), None)
    if match is None:
        known = sorted({*shipped, *(point.name for point in found)})
        raise BackendError(
            [
                Problem(
                    code="ST301",
                    summary=f'There is no backend called "{reference.scheme}".',
                    found_in=(_place(reference),),
                    fix=f"Use one of: {', '.join(known)}. Plug-ins are found through the "
                    f"entry-point group {ENTRY_POINTS} once their package is installed.",
                )
            ]
        )
    return Plugin(reference, _factory(match))


def names_plugin(scheme: str) -> bool:
    """Return whether a plug-in for *scheme* is installed."""
    from importlib.metadata import entry_points

    return any(point.name == scheme for point in entry_points(group=ENTRY_POINTS))


def _factory(point: EntryPoint) -> Callable[[Reference], Any]:
    try:
        factory: Callable[[Reference], Any] = point.load()
    except Exception as error:  # noqa: BLE001 - as above
        reason = type(error).__name__
    else:
        return factory
    raise BackendError(
        [
            Problem(
                code="ST310",
                summary=f'The backend plug-in "{point.name}" does not load.',
                found_in=(f"{point.value} ({reason})",),
                fix="Import that module by hand to see why; install what it needs, or name "
                "another backend.",
            )
        ]
    )


def _public_methods(backend: object) -> dict[str, Callable[..., Any]]:
    found = {name: getattr(backend, name) for name in dir(backend) if not name.startswith("_")}
    methods = {name: value for name, value in found.items() if callable(value)}
    if methods.keys().isdisjoint({"load", "save"}):
        raise TypeError  # as of all that a plug-in raises, the name of the class is shown
    return methods


def _takes_replaces(save: Callable[..., Any]) -> bool:
    import inspect  # only a plug-in that writes needs it

    try:
        parameters = inspect.signature(save).parameters.values()
    except (TypeError, ValueError):  # made by a C extension: it says when it is called
        return True
    return any(p.name == "replaces" or p.kind is p.VAR_KEYWORD for p in parameters)


def _checked(reference: Reference, method: str, answer: Any) -> Any:
    """Return *answer*, that of ``load`` with its values known to redaction, and no others."""
    if method != "load" or isinstance(answer, Absent):
        return answer
    if not isinstance(answer, Found):
        raise TypeError
    fields = {
        name: seal(value.secret.get_secret_value(), value.place, secret=is_secret_field(name))
        for name, value in answer.record.fields.items()
    }
    wanted = {field.name for field in wanted_fields()}
    fields = {name: value for name, value in fields.items() if name in wanted}
    if not is_there(fields):  # a record of the other kind
        looked_in = (Attempt(reference.scheme, reference.shown, "not in its record"),)
        return Absent(looked_in, account_sid=fields.get("account_sid"))
    return Found(answer.record._replace(fields=fields))


def _failed(reference: Reference, step: str, error: Exception) -> Problem:
    return Problem(
        code="ST311",
        summary=f'The backend plug-in "{reference.scheme}" failed.',
        found_in=(_place(reference), f"{step} raised {type(error).__name__}"),
        fix="Its own message is not shown, because it may quote a secret. Check what the plug-in "
        "needs (network, permissions, the reference), update it, or name another backend.",
    )


def _place(reference: Reference) -> str:
    return f"{reference.place}: the reference {reference}"
