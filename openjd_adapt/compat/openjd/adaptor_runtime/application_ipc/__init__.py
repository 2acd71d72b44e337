"""Actions for an application, and the server that hands them out."""

from ...adaptor_runtime_client._toolkit import toolkit

ActionsQueue = toolkit.ActionsQueue
AdaptorServer = toolkit.AdaptorServer

__all__ = ["ActionsQueue", "AdaptorServer"]
