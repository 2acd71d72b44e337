"""The version of what serves here: the toolkit's own."""

from ._toolkit import toolkit

version = __version__ = toolkit.__version__

__all__ = ["__version__", "version"]
