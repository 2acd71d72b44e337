"""A toolkit to write adaptors: programs that keep an application open for an Open Job Description session.

The public names below are loaded when they are first used, so that importing one costs one.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .adaptor import (
        Adaptor as Adaptor,
        AdaptorConfigurationOptions as AdaptorConfigurationOptions,
        BaseAdaptor as BaseAdaptor,
        CommandAdaptor as CommandAdaptor,
        ManagedProcess as ManagedProcess,
        SemanticVersion as SemanticVersion,
    )
    from .application import (
        ApplicationError as ApplicationError,
        ApplicationExited as ApplicationExited,
        client_script as client_script,
    )
    from .application_adaptor import ApplicationAdaptor as ApplicationAdaptor
    from .client import Action as Action, Client as Client, ClientInterface as ClientInterface
    from .config import (
        AdaptorConfiguration as AdaptorConfiguration,
        Configuration as Configuration,
        ConfigurationManager as ConfigurationManager,
        RuntimeConfiguration as RuntimeConfiguration,
    )
    from .entry_point import EntryPoint as EntryPoint
    from .errors import (
        AdaptError as AdaptError,
        Canceled as Canceled,
        InputError as InputError,
        ProcessFailed as ProcessFailed,
        ProgramNotFound as ProgramNotFound,
        ProgramNotStarted as ProgramNotStarted,
        TimedOut as TimedOut,
    )
    from .lifecycle import AdaptorRunner as AdaptorRunner, AdaptorState as AdaptorState
    from .lines import RegexCallback as RegexCallback, RegexHandler as RegexHandler
    from .output import ADAPTOR_OUTPUT as ADAPTOR_OUTPUT, STDERR as STDERR, STDOUT as STDOUT
    from .paths import PathMappingRule as PathMappingRule
    from .process import LoggingSubprocess as LoggingSubprocess, StreamLogger as StreamLogger
    from .ranges import IntRange as IntRange
    from .schema import AdaptorDataValidator as AdaptorDataValidator, AdaptorDataValidators as AdaptorDataValidators
    from .server import ActionsQueue as ActionsQueue, AdaptorServer as AdaptorServer
    from .watch import (
        Done as Done,
        Fatal as Fatal,
        Ignore as Ignore,
        Progress as Progress,
        Status as Status,
        Warn as Warn,
    )


_HOMES = {
    "adaptor": (
        *("Adaptor", "AdaptorConfigurationOptions", "BaseAdaptor", "CommandAdaptor", "ManagedProcess"),
        "SemanticVersion",
    ),
    "application": ("ApplicationError", "ApplicationExited", "client_script"),
    "application_adaptor": ("ApplicationAdaptor",),
    "client": ("Action", "Client", "ClientInterface"),
    "config": ("AdaptorConfiguration", "Configuration", "ConfigurationManager", "RuntimeConfiguration"),
    "entry_point": ("EntryPoint",),
    "errors": (
        "AdaptError",
        "Canceled",
        "InputError",
        "ProcessFailed",
        "ProgramNotFound",
        "ProgramNotStarted",
        "TimedOut",
    ),
    "lifecycle": ("AdaptorRunner", "AdaptorState"),
    "lines": ("RegexCallback", "RegexHandler"),
    "output": ("ADAPTOR_OUTPUT", "STDERR", "STDOUT"),
    "paths": ("PathMappingRule",),
    "process": ("LoggingSubprocess", "StreamLogger"),
    "ranges": ("IntRange",),
    "server": ("ActionsQueue", "AdaptorServer"),
    "schema": ("AdaptorDataValidator", "AdaptorDataValidators"),
    "watch": ("Done", "Fatal", "Ignore", "Progress", "Status", "Warn"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    from .errors import needed_by

    with needed_by(name):
        value = getattr(__import__(_MODULES[name], globals(), None, [name], 1), name)  # importlib costs every command
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
