"""The client by its name on Windows. It is the same one everywhere."""

from ._toolkit import toolkit

WinClientInterface = toolkit.ClientInterface

__all__ = ["WinClientInterface"]
