"""A toolkit to write adaptors: programs that keep an application open for an Open Job Description session.

The public names below are loaded when they are first used, so that importing one costs one. Type checkers and editors
read ``__init__.pyi``. This file and ``__main__.py`` parse on Python 2.7, too, which then says what is wrong.
"""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 7):  # noqa: UP036
    _text = "%s needs Python 3.7 or newer; %s is %s" % (__name__, sys.executable, sys.version.split()[0])
    if (getattr(sys, "argv", None) or [""])[0] not in ("-m", "-c"):
        raise ImportError(_text)  # to an application, which goes on
    sys.stderr.write("ERROR: %s\n" % _text)
    if set(sys.argv) & {"run", "start"}:  # all that a farm shows
        sys.stdout.write("openjd_fail: %s\n" % _text)
    sys.exit(2)

__all__ = [
    "ADAPTOR_OUTPUT",
    "Action",
    "ActionsQueue",
    "AdaptError",
    "Adaptor",
    "AdaptorConfiguration",
    "AdaptorConfigurationOptions",
    "AdaptorDataValidator",
    "AdaptorDataValidators",
    "AdaptorRunner",
    "AdaptorServer",
    "AdaptorState",
    "Application",
    "ApplicationAdaptor",
    "ApplicationError",
    "ApplicationExited",
    "BaseAdaptor",
    "Canceled",
    "Client",
    "ClientInterface",
    "CommandAdaptor",
    "Configuration",
    "ConfigurationManager",
    "Done",
    "EntryPoint",
    "Fatal",
    "Ignore",
    "InputError",
    "IntRange",
    "LoggingSubprocess",
    "ManagedProcess",
    "PathMappingRule",
    "ProcessFailed",
    "ProgramNotFound",
    "ProgramNotStarted",
    "Progress",
    "RegexCallback",
    "RegexHandler",
    "RuntimeConfiguration",
    "STDERR",
    "STDOUT",
    "SemanticVersion",
    "Status",
    "StreamLogger",
    "TimedOut",
    "Warn",
    "Watch",
    "client_script",
]

TYPE_CHECKING = False
if TYPE_CHECKING:  # for what makes a program of scripts, and looks for statements that import
    from . import adaptor, application, application_adaptor, client, config, entry_point, errors  # noqa: F401, I001
    from . import lifecycle, lines, output, paths, process, ranges, schema, server, watch  # noqa: F401

_HOMES = {
    "adaptor": "Adaptor AdaptorConfigurationOptions BaseAdaptor CommandAdaptor ManagedProcess SemanticVersion",
    "application": "Application ApplicationError ApplicationExited client_script",
    "application_adaptor": "ApplicationAdaptor",
    "client": "Action Client ClientInterface",
    "config": "AdaptorConfiguration Configuration ConfigurationManager RuntimeConfiguration",
    "entry_point": "EntryPoint",
    "errors": "AdaptError Canceled InputError ProcessFailed ProgramNotFound ProgramNotStarted TimedOut",
    "lifecycle": "AdaptorRunner AdaptorState",
    "lines": "RegexCallback RegexHandler",
    "output": "ADAPTOR_OUTPUT STDERR STDOUT",
    "paths": "PathMappingRule",
    "process": "LoggingSubprocess StreamLogger",
    "ranges": "IntRange",
    "schema": "AdaptorDataValidator AdaptorDataValidators",
    "server": "ActionsQueue AdaptorServer",
    "watch": "Done Fatal Ignore Progress Status Warn Watch",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name):
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    from .errors import needed_by

    with needed_by(name):
        value = getattr(__import__(_MODULES[name], globals(), None, [name], 1), name)  # importlib costs every command
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()).union(__all__))
