"""Init data, run data and configuration against their JSON Schemas, which lie beside the adaptor."""

from __future__ import annotations

import os

from .data import SCHEMA_FILES, load, parse, read_text, source
from .errors import InputError
from .schema import SchemaError, ValidationError, Validator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DataError(InputError, ValidationError):
    """Data that are not as their schema wants them: both errors in one, so that an adaptor need not catch it."""

    def __init__(self, where: str, error: ValidationError) -> None:
        ValidationError.__init__(self, error.message, error.path, error.schema_path, error.instance)
        self.args = (where, error)

    def __str__(self) -> str:
        return "%s: %s" % (self.args[0], ValidationError.__str__(self))


class AdaptorDataValidator:
    """Checks the data of one kind. Raises :class:`InputError` for a schema that is wrong or that is not supported."""

    def __init__(self, schema: Any, where: str = "schema") -> None:
        self._where = where
        try:
            self._validator = Validator(schema)
        except SchemaError as error:
            raise InputError("%s: %s" % (where, error)) from None

    @classmethod
    def from_schema_file(cls, schema_path: str) -> AdaptorDataValidator:
        """The validator by the schema in a JSON file."""
        where = "schema %s" % schema_path
        return cls(parse(where, read_text(where, schema_path)), where)

    def validate(self, data: str | dict[str, Any], where: str = "data") -> None:
        """Raise :class:`DataError` if the data are not as the schema wants them.

        A string is JSON or YAML, or ``file://`` and the path of a file with one; :class:`InputError` if it is neither.
        """
        if isinstance(data, str):
            where, data = source(where, data), load(where, data)
        try:
            self._validator.validate(data)
        except ValidationError as error:
            raise DataError(where, error) from None
        except SchemaError as error:  # a reference that leads back to itself shows only now
            raise InputError("%s: %s" % (self._where, error)) from None


class AdaptorDataValidators:
    """The validators of an adaptor's init data and run data."""

    #: The class of both.
    validator_cls = AdaptorDataValidator

    def __init__(self, init_data_validator: AdaptorDataValidator, run_data_validator: AdaptorDataValidator) -> None:
        self.init_data = init_data_validator
        self.run_data = run_data_validator

    @classmethod
    def for_adaptor(cls, schema_dir: str) -> AdaptorDataValidators:
        """Those by ``init_data.schema.json`` and ``run_data.schema.json`` in a folder, which must both be there."""
        paths = [os.path.join(schema_dir, name) for name in SCHEMA_FILES.values()]
        return cls(*map(cls.validator_cls.from_schema_file, paths))
