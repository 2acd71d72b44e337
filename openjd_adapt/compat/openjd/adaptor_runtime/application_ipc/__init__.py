"""Actions for an application, and the server that hands them out."""

from .._toolkit import toolkit

ActionsQueue = toolkit.ActionsQueue
AdaptorServer = toolkit.AdaptorServer

__all__ = ["ActionsQueue", "AdaptorServer"]
