"""Child processes."""

from ...adaptor_runtime_client._toolkit import toolkit

LoggingSubprocess = toolkit.LoggingSubprocess
ManagedProcess = toolkit.ManagedProcess
StreamLogger = toolkit.StreamLogger

__all__ = ["LoggingSubprocess", "ManagedProcess", "StreamLogger"]
