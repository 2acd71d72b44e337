"""Child processes."""

from .._toolkit import toolkit

LoggingSubprocess = toolkit.LoggingSubprocess
ManagedProcess = toolkit.ManagedProcess
StreamLogger = toolkit.StreamLogger

__all__ = ["LoggingSubprocess", "ManagedProcess", "StreamLogger"]
