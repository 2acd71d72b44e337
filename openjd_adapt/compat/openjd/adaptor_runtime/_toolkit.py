"""The toolkit, as the client finds it, for this package by either name, with ``openjd`` or without."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_found: Any = importlib.import_module(__package__ + "_client._toolkit")
toolkit, part = _found.toolkit, _found.part
