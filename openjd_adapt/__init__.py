"""A toolkit to write adaptors: programs that keep an application open for an Open Job Description session.

The public names below are loaded when they are first used, so that importing one costs one.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .adaptor import Adaptor as Adaptor
    from .adaptor import AdaptorConfigurationOptions as AdaptorConfigurationOptions
    from .adaptor import BaseAdaptor as BaseAdaptor
    from .adaptor import CommandAdaptor as CommandAdaptor
    from .cli import EntryPoint as EntryPoint
    from .config import AdaptorConfiguration as AdaptorConfiguration
    from .config import Configuration as Configuration
    from .config import ConfigurationManager as ConfigurationManager
    from .config import RuntimeConfiguration as RuntimeConfiguration
    from .errors import AdaptError as AdaptError
    from .errors import Canceled as Canceled
    from .errors import InputError as InputError
    from .errors import ProcessFailed as ProcessFailed
    from .lifecycle import AdaptorRunner as AdaptorRunner
    from .lifecycle import AdaptorState as AdaptorState
    from .output import ADAPTOR_OUTPUT as ADAPTOR_OUTPUT
    from .output import STDERR as STDERR
    from .output import STDOUT as STDOUT
    from .output import RegexCallback as RegexCallback
    from .output import RegexHandler as RegexHandler
    from .paths import PathMappingRule as PathMappingRule
    from .process import LoggingSubprocess as LoggingSubprocess
    from .process import ManagedProcess as ManagedProcess
    from .process import StreamLogger as StreamLogger
    from .versions import SemanticVersion as SemanticVersion

_HOMES = {
    "adaptor": ("Adaptor", "AdaptorConfigurationOptions", "BaseAdaptor", "CommandAdaptor"),
    "cli": ("EntryPoint",),
    "config": ("AdaptorConfiguration", "Configuration", "ConfigurationManager", "RuntimeConfiguration"),
    "errors": ("AdaptError", "Canceled", "InputError", "ProcessFailed"),
    "lifecycle": ("AdaptorRunner", "AdaptorState"),
    "output": ("ADAPTOR_OUTPUT", "STDERR", "STDOUT", "RegexCallback", "RegexHandler"),
    "paths": ("PathMappingRule",),
    "process": ("LoggingSubprocess", "ManagedProcess", "StreamLogger"),
    "versions": ("SemanticVersion",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    from importlib import import_module

    value = getattr(import_module("." + _MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
