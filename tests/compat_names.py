"""Prints, as JSON, the public names of ``openjd.adaptor_runtime`` as the path has it: kinds, bases, signatures.

Run by ``test_compat_contract`` for each of the two packages.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import sys

MODULES = {
    "openjd.adaptor_runtime": None,
    "openjd.adaptor_runtime.adaptors": None,
    "openjd.adaptor_runtime.adaptors.configuration": None,
    "openjd.adaptor_runtime.app_handlers": None,
    "openjd.adaptor_runtime.application_ipc": None,
    "openjd.adaptor_runtime.process": None,
    "openjd.adaptor_runtime_client": None,
    # Inner ones, of which adaptors use what is named here.
    "openjd.adaptor_runtime._osname": ["OSName"],
    "openjd.adaptor_runtime._utils": ["secure_open"],
    "openjd.adaptor_runtime._version": ["version"],
}


def parameters(function) -> list:
    """(name, kind, whether it must be given) of each parameter but ``self``."""
    found = inspect.signature(function).parameters.values()
    return [
        [
            item.name,
            item.kind.name,
            item.default is item.empty and item.kind.name not in ("VAR_POSITIONAL", "VAR_KEYWORD"),
        ]
        for item in found
        if item.name not in ("self", "cls")
    ]


def is_own(cls) -> bool:
    return cls.__module__.split(".")[0] in ("openjd", "openjd_adapt")


def members(cls) -> dict:
    """The public names of a class that this package gives it, and how they are called."""
    found = {}
    for name in dir(cls):
        home = next((base for base in cls.__mro__ if name in vars(base)), None)
        if (name.startswith("_") and name != "__init__") or home is None or not is_own(home):
            continue
        if callable(getattr(cls, name)) and not inspect.isclass(getattr(cls, name)):
            found[name] = parameters(getattr(cls, name))
        else:
            found[name] = "attribute"
    return found


def describe(value) -> dict:
    if not inspect.isclass(value):
        return {"call": parameters(value)} if callable(value) else {"kind": type(value).__name__}
    bases = sorted(
        base.__name__
        for base in value.__mro__
        if not is_own(base) and base.__name__ not in ("object", "ABC", "Generic")
    )
    return {"members": members(value), "bases": bases, "abstract": sorted(getattr(value, "__abstractmethods__", ()))}


def instances() -> dict:
    """An object of each class that has attributes of its own, and their names."""
    from openjd.adaptor_runtime import EntryPoint, adaptors, app_handlers, application_ipc, process
    from openjd.adaptor_runtime.adaptors import configuration
    from openjd.adaptor_runtime_client import Action, ClientInterface, PathMappingRule

    class Mine(adaptors.Adaptor):
        integration_data_interface_version = adaptors.SemanticVersion(0, 1)

        def on_run(self, run_data):
            pass

    class Client(ClientInterface):
        def close(self, args=None):
            pass

        def graceful_shutdown(self, signum, frame):
            pass

    class Process(process.ManagedProcess):
        def get_executable(self):
            return ""

    mine = Mine({})
    rule = {"source_path_format": "posix", "source_path": "/a", "destination_path": "/b"}
    made = {
        "adaptor_runtime.EntryPoint": EntryPoint(Mine),
        "adaptor_runtime.adaptors.Adaptor": mine,
        "adaptor_runtime.adaptors.AdaptorConfigurationOptions": adaptors.AdaptorConfigurationOptions(),
        "adaptor_runtime.adaptors.AdaptorDataValidator": adaptors.AdaptorDataValidator({}),
        "adaptor_runtime.adaptors.AdaptorDataValidators": adaptors.AdaptorDataValidators(None, None),
        "adaptor_runtime.adaptors.AdaptorRunner": adaptors.AdaptorRunner(adaptor=mine),
        "adaptor_runtime.adaptors.PathMappingRule": adaptors.PathMappingRule(**rule),
        "adaptor_runtime.adaptors.configuration.AdaptorConfiguration": configuration.AdaptorConfiguration({}),
        "adaptor_runtime.app_handlers.RegexCallback": app_handlers.RegexCallback([], print),
        "adaptor_runtime.app_handlers.RegexHandler": app_handlers.RegexHandler([]),
        "adaptor_runtime.application_ipc.ActionsQueue": application_ipc.ActionsQueue(),
        "adaptor_runtime_client.Action": Action("a"),
        "adaptor_runtime_client.ClientInterface": Client("/tmp/9999"),
        "adaptor_runtime_client.PathMappingRule": PathMappingRule(**rule, destination_os="linux"),
        "adaptor_runtime.process.ManagedProcess": Process({}),
    }
    ignored = {*dir(logging.Handler()), *dir(object)}
    return {name: sorted(set(vars(item)) - ignored - {"_abc_impl"}) for name, item in made.items()}


def main() -> None:
    found: dict = {}
    for name, chosen in MODULES.items():
        module = importlib.import_module(name)
        for word in chosen or module.__all__:
            found["%s.%s" % (name[len("openjd.") :], word)] = describe(getattr(module, word))
    for name, words in instances().items():
        for word in words:
            if not word.startswith("_"):
                found[name]["members"][word] = "attribute"
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
