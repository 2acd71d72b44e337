"""Callbacks on an application's lines."""

from .._toolkit import toolkit

RegexCallback = toolkit.RegexCallback
RegexHandler = toolkit.RegexHandler

__all__ = ["RegexCallback", "RegexHandler"]
