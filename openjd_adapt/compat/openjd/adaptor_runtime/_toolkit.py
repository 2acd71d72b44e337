"""The toolkit, as the client finds it, for this package by either name, with ``openjd`` or without."""

import importlib

_found = importlib.import_module(__package__ + "_client._toolkit")
toolkit, part = _found.toolkit, _found.part
