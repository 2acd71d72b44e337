"""Errors that adaptors catch by the names of the PyPI package ``jsonschema``, which the reference brings along."""

from __future__ import annotations

from ._toolkit import part, toolkit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def as_validation_error(error: Any) -> Exception:
    """The toolkit's error as ``jsonschema.ValidationError``, too; the same error where that is not installed."""
    try:
        from jsonschema import exceptions  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return error  # type: ignore[no-any-return]

    class ValidationError(part("schema").ValidationError, exceptions.ValidationError):  # type: ignore[misc]
        """Both at once: what an adaptor catches, and one line for the log where it does not."""

        def __init__(self) -> None:
            exceptions.ValidationError.__init__(
                self,
                error.message,
                path=error.path,
                schema_path=error.schema_path,
                instance=error.instance,
                validator=error.schema_path[-1] if error.schema_path else None,
            )
            self.detail = str(error)

        def __reduce__(self) -> tuple[Any, ...]:
            return as_validation_error, (error,)

        def __str__(self) -> str:
            return str(self.message)

    return ValidationError()


def as_schema_error(error: Any) -> Exception:
    """The same for a schema that is wrong, and ``jsonschema.SchemaError``."""
    try:
        from jsonschema import exceptions  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return error  # type: ignore[no-any-return]

    class SchemaError(toolkit.InputError, exceptions.SchemaError):  # type: ignore[misc]
        """Both at once."""

        def __init__(self) -> None:
            exceptions.SchemaError.__init__(self, str(error))

        def __reduce__(self) -> tuple[Any, ...]:
            return as_schema_error, (error,)

        def __str__(self) -> str:
            return str(self.message)

    return SchemaError()
