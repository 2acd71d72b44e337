"""Callbacks on an application's lines."""

from ...adaptor_runtime_client._toolkit import toolkit

RegexCallback = toolkit.RegexCallback
RegexHandler = toolkit.RegexHandler

__all__ = ["RegexCallback", "RegexHandler"]
