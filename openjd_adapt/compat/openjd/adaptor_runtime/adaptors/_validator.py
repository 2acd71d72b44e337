"""The validators, whose errors are those of the PyPI package ``jsonschema``, too, where that is installed."""

from __future__ import annotations

from .._errors import as_schema_error, as_validation_error
from .._toolkit import part, toolkit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ValidationError = part("schema").ValidationError


class AdaptorDataValidator(toolkit.AdaptorDataValidator):  # type: ignore[misc]
    """Checks the data of one kind."""

    def __init__(self, schema: Any, where: str = "schema") -> None:
        try:
            super().__init__(schema, where)
        except toolkit.InputError as error:
            raise as_schema_error(error) from None

    def validate(self, data: str | dict[str, Any], where: str = "data") -> None:
        """Raise an error that says what is wrong, if anything is; ``jsonschema.ValidationError`` where there is one."""
        try:
            super().validate(data, where)
        except _ValidationError as error:
            raise as_validation_error(error) from None


class AdaptorDataValidators(toolkit.AdaptorDataValidators):  # type: ignore[misc]
    """The validators of an adaptor's init data and run data."""

    validator_cls = AdaptorDataValidator
