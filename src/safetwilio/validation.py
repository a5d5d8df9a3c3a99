"""Settings that are made of a mapping or of JSON, without an error that quotes what was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import ValidationError

from safetwilio.errors import ConfigurationError, configuration_error
from safetwilio.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel
else:  # a model of its own would make every start dearer
    BaseModel = object

_Made = TypeVar("_Made")


class QuietValidation(BaseModel):
    """The ways of pydantic's to make a model, as strict and as silent as its constructor."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return settings made of the mapping *obj*; as strict and as silent as the constructor."""
        made = _validated(super().model_validate, obj, options)
        if isinstance(made, ConfigurationError):
            del obj, options
            raise made
        return made

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Return settings made of the object in *json_data*; as :meth:`model_validate`."""
        made = _validated(super().model_validate_json, json_data, options)
        if isinstance(made, ConfigurationError):
            del json_data, options
            raise made
        return made

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Return settings made of the mapping *obj* of texts; as :meth:`model_validate`."""
        made = _validated(super().model_validate_strings, obj, options)
        if isinstance(made, ConfigurationError):
            del obj, options
            raise made
        return made


def not_valid(name: str, reason: str) -> Problem:
    """Return the fault that pydantic refuses the setting *name*, and calls that *reason*."""
    return Problem(
        code="ST219",
        summary=f'The setting "{name}" of this application is not valid.',
        found_in=(f"pydantic calls it {reason}",),
        fix="Correct the value; it is not shown here because it may be a secret.",
    )


def _validated(
    validate: Callable[..., _Made], given: object, options: Mapping[str, Any]
) -> _Made | ConfigurationError:
    """Return what *validate* makes, or the error, without the frames that hold what was *given*."""
    try:
        return validate(given, **options)
    except ConfigurationError as error:
        return error.with_traceback(None)
    except TypeError:  # a name that is no argument
        return configuration_error([not_valid("the settings", "unknown name")])
    except ValidationError as error:  # what was given is no mapping; errors() would hold it
        kind = error.errors(include_url=False, include_context=False, include_input=False)
        return configuration_error([not_valid("the settings", kind[0]["type"])])
