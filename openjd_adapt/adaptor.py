"""What an author subclasses: ``Adaptor``, whose hooks do the work, and ``CommandAdaptor``: a process for each task."""

from __future__ import annotations

# An adaptor's main imports this module for every short command: what only an adaptor's process needs is imported there.
import os
import sys
from abc import ABC, abstractmethod
from collections import namedtuple

from .errors import AdaptError, Config, Generic, InputError, ProcessFailed, check_has_run, describe_exit, same_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from typing import Any, Callable, ContextManager

    from .config import ConfigurationManager
    from .lines import RegexHandler
    from .paths import PathMappingRule
    from .schema import AdaptorDataValidator
    from .watch import Watch


class SemanticVersion(namedtuple("SemanticVersion", "major minor")):
    """A version of an interface: a breaking change moves ``major``, an addition moves ``minor``. Orders as a tuple."""

    def __str__(self) -> str:
        return "%d.%d" % self

    def has_compatibility_with(self, other: SemanticVersion) -> bool:
        """True if what is installed in this version serves one who expects ``other``.

        Before 1.0 every version stands alone; after it, a newer minor version serves an older one.
        """
        if self.major != other.major:
            return False
        return bool(self.minor == other.minor if self.major == 0 else self.minor >= other.minor)

    @classmethod
    def parse(cls, version_str: str) -> SemanticVersion:
        """Read ``"1.2"``; raises :class:`ValueError` for anything else."""
        parts = version_str.split(".")
        if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
            return cls(int(parts[0]), int(parts[1]))
        raise ValueError("%r is not a version of the form Major.Minor" % version_str)


class ManagedProcess(ABC):
    """The process that a :class:`~openjd_adapt.CommandAdaptor` runs for one task."""

    #: The exit codes that are a success.
    success_exit_codes: Sequence[int] = (0,)
    #: The encoding of the process's output.
    encoding = "utf-8"
    #: Whether standard error goes the way of standard output: the lines of both come in order, all as ``STDOUT``.
    merge_output = False
    #: Seconds between asking the process to end and killing it.
    grace_seconds: float = 60.0  # as process.GRACE_SECONDS, which costs an import

    #: What the adaptor watches for, beside the handlers.
    _watcher: RegexHandler | None = None

    def __init__(
        self,
        run_data: dict[str, Any],
        *,
        stdout_handler: RegexHandler | None = None,
        stderr_handler: RegexHandler | None = None,
    ) -> None:
        self.run_data = run_data
        self.stdout_handler = stdout_handler
        self.stderr_handler = stderr_handler

    @abstractmethod
    def get_executable(self) -> str:
        """The program to run."""

    def get_arguments(self) -> list[str]:
        """Its arguments."""
        return []

    def get_startup_directory(self) -> str | None:
        """The folder to run it in; None for the session's."""
        return None

    def get_environment(self) -> dict[str, str] | None:
        """Its whole environment; None for a copy of the daemon's."""
        return None

    def extra_environment(self) -> dict[str, str] | None:
        """What is put over :meth:`get_environment`."""
        return None

    def run(self) -> None:
        """Run the process to its end; leaves nothing of its tree, whatever ends the wait.

        Raises :class:`ProcessFailed` if it ends with a code that is not a success, or by a signal.
        """
        from .process import LoggingSubprocess, launch_options, text, texts

        returned = "%%s of %s returned" % type(self).__name__
        args = [text(returned % "get_executable", self.get_executable())]
        args += texts(returned % "get_arguments", self.get_arguments())
        codes = self.success_exit_codes
        if not hasattr(codes, "__contains__") or isinstance(codes, str):
            raise AdaptError("success_exit_codes of %s is %r, not a list of codes" % (type(self).__name__, codes))
        process = LoggingSubprocess(
            args=args,
            stdout_handler=self.stdout_handler,
            stderr_handler=self.stderr_handler,
            watcher=self._watcher,
            **launch_options(self),
        )
        grace = self.grace_seconds
        try:
            process._wait_for_end()
            if not process.is_running:
                grace = 0  # for what it has left in its group
        finally:
            process.terminate(grace)
        returncode = process.returncode or 0
        if returncode not in codes and not process.is_done:
            raise ProcessFailed("%s %s" % (os.path.basename(process.args[0]), describe_exit(returncode)), returncode)


class AdaptorConfigurationOptions(Generic[Config]):
    """Where an adaptor's configuration comes from, where it is not ``NAME.json`` beside the adaptor's module.

    ``config_cls``: a subclass of :class:`AdaptorConfiguration`; ``config_path``: the adaptor's own file;
    ``schema_path``: the JSON Schema, or several, that every layer must fulfil.
    """

    def __init__(
        self,
        config_cls: type[Config] | None = None,
        config_path: str | None = None,
        schema_path: str | list[str] | None = None,
    ) -> None:
        self.config_cls = config_cls
        self.config_path = config_path
        self.schema_path = schema_path


def file_of(kind: type) -> str | None:
    """The file that a class was loaded from, where it has one."""
    return getattr(sys.modules.get(kind.__module__), "__file__", None)


def call_hook(author: object, name: str, *arguments: Any) -> Any:
    """Call a method of an author's. Raises :class:`AdaptError` if it has run nothing."""
    from .output import report_traceback

    with same_process(report_traceback):
        returned = getattr(author, name)(*arguments)
    check_has_run("%s of %s" % (name, type(author).__name__), returned)
    return returned


def _calling(hook: str) -> Callable[..., None]:
    """A phase that is one hook."""
    return lambda self, *arguments: call_hook(self, hook, *arguments)


#: The hooks that an adaptor of one kind or another has, in the order in which they are called.
HOOKS = ("on_start", "on_ready", "on_prerun", "on_run", "on_postrun", "on_cancel", "on_stop", "on_cleanup")
PHASES = ("_start", "_run", "_stop", "_cleanup")


class BaseAdaptor(ABC, Generic[Config]):
    """What every adaptor has: data, configuration, messages to the scheduler, path mapping and cancel."""

    #: What is looked for in the lines of applications.
    watch: Sequence[Watch] = ()
    #: Seconds for the start, for each task, and for the stop; for the silence of an application that is waited for; and
    #: since the last progress. None is for ever. The configuration's keys of these names come before them.
    start_timeout: float | None = None
    run_timeout: float | None = None
    stop_timeout: float | None = None
    no_output_timeout: float | None = None
    no_progress_timeout: float | None = None

    #: Whether init data and run data get the defaults of their schemas, before these check them.
    apply_defaults = False

    #: What stands in brackets behind the class that an author's is derived from.
    _config_cls: object = None
    #: What ``--config`` names.
    _command_line_files: Sequence[str] = ()

    def __init__(
        self,
        init_data: dict[str, Any],
        *,
        config_opts: AdaptorConfigurationOptions[Config] | None = None,
        path_mapping_data: dict[str, Any] | None = None,
    ) -> None:
        from .output import ProgressThrottle
        from .paths import rules_from_document
        from .task import Task

        #: The session's data, as ``--init-data`` gave it.
        self.init_data = init_data
        self._config_opts: AdaptorConfigurationOptions[Config] = config_opts or AdaptorConfigurationOptions()
        self._config_manager: ConfigurationManager[Config] | None = None
        self._config: Config | None = None
        self._path_mapping_rules = rules_from_document(path_mapping_data or {})
        self._task = Task()
        self._configured_bounds: dict[str, float | None] | None = None
        self._bounds: dict[str, float] = {}
        self._throttle = ProgressThrottle()

    def _check_definition(self) -> None:
        """Raise :class:`InputError` for what an author has got wrong, as far as that can be told before the start."""
        own = type(self)
        kind = next(each for each in own.__mro__ if each.__module__.startswith(__name__.rpartition("adaptor")[0]))
        if all(getattr(own, phase) is getattr(kind, phase) for phase in PHASES):  # others may call what they like
            for hook in HOOKS:
                if hasattr(own, hook) and not hasattr(kind, hook):
                    known = ", ".join(name for name in HOOKS if hasattr(kind, name))
                    what = hook, own.__name__, kind.__name__, known
                    raise InputError("%s of %s is never called: %s calls %s" % what)
        self.line_handler  # noqa: B018 - watches that cannot be meant are told now

    # What the lifecycle calls; an adaptor overrides the on_ hooks instead.

    def _start(self) -> None:
        """Once, before the first task."""

    @abstractmethod
    def _run(self, run_data: dict[str, Any]) -> None:
        """Once a task."""

    def _stop(self) -> None:
        """Once, after the last task."""

    def _cleanup(self) -> None:
        """Once, at the very end, whatever happened before."""

    def on_cancel(self) -> None:
        """The running task was canceled. Called once a task, on a thread of its own while the task goes on.

        :attr:`cancelled` is set already, and :meth:`sleep` and the waits for processes end by themselves.
        """

    def cancel(self) -> None:
        """Cancel the running task; a scheduler's cancel calls it, too. Calls :meth:`on_cancel`, once a task."""
        self._task.cancel()
        if self._task.take_cancel():
            call_hook(self, "on_cancel")

    @property
    def cancelled(self) -> threading.Event:
        """Set while a canceled task winds up; clear again for the next one."""
        return self._task.cancelled

    def sleep(self, seconds: float) -> None:
        """Sleep; a cancel ends it early with :class:`Canceled`."""
        self._task.sleep(seconds)

    def _time_bounds(self) -> dict[str, float]:
        """Those that there are, by name.

        Raises :class:`InputError` for what is not one, while a start or a task can fail by it: what stops goes on, by
        those that were there before.
        """
        from .config import TIME_BOUNDS, check_time_bounds

        bounds = {name: getattr(self, name) for name in TIME_BOUNDS}
        try:
            check_time_bounds(type(self).__name__, bounds)
        except InputError:
            if self._task.phase.bound in ("start_timeout", "run_timeout"):
                raise
            return self._bounds
        if self._configured_bounds is None:
            self._configured_bounds = {name: each for name, each in self.config.given.items() if name in bounds}
        bounds.update(self._configured_bounds)
        self._bounds = {name: seconds for name, seconds in bounds.items() if seconds is not None}
        return self._bounds

    @property
    def integration_data_interface_version(self) -> SemanticVersion:
        """The version of the form of init data and run data."""
        return SemanticVersion(0, 1)

    @classmethod
    def _schemas(cls) -> dict[str, AdaptorDataValidator]:
        """What checks init data and run data: by the schemas in the folder ``schemas`` beside the adaptor's module."""
        path = file_of(cls)
        if not path:
            return {}
        from .config import validator
        from .data import schema_paths

        paths = schema_paths(os.path.join(os.path.dirname(os.path.abspath(path)), "schemas"))
        return {kind: validator(path) for kind, path in paths.items()}

    @property
    def config_manager(self) -> ConfigurationManager[Config]:
        """The layers of the adaptor's configuration."""
        from .config import for_adaptor

        if self._config_manager is None:
            self._config_manager = for_adaptor(
                type(self).__name__, file_of(type(self)), self._config_opts, self._command_line_files, self._config_cls
            )
        return self._config_manager

    @property
    def config(self) -> Config:
        """The adaptor's configuration, all layers applied; an :class:`AdaptorConfiguration` or what the options name.

        Of an ``Adaptor[MyConfiguration]`` it is a ``MyConfiguration``.

        Raises :class:`InputError` if a layer cannot be read.
        """
        if self._config is None:
            self._config = self.config_manager.build_config()
        return self._config

    @classmethod
    def update_status(cls, *, progress: float | None = None, status_message: str | None = None) -> None:
        """Tell the scheduler how far the task is: ``progress`` in percent, and a text, made one line."""
        import logging

        from . import output, session, task

        if progress is None and status_message is None:
            logging.getLogger(__name__).warning("update_status was called with neither progress nor status_message")
        if task.current().is_between:
            return  # the scheduler would take it for the next task's
        if progress is not None:
            line = output.progress_line(progress)
            if line:
                output.ProgressThrottle.waiting.clear()
                output.say(line)
        if status_message is not None:
            line = session.status(status_message)
            if line:
                task.current().status = line.partition(": ")[2]
                output.say(line)

    def report_progress(self, percent: float) -> None:
        """Report progress as often as it comes: about ten lines a second are made of it, and the last is never lost.

        ``percent`` is of the part of the task that :meth:`progress_span` has begun, or of all of it.
        """
        self._throttle.report(percent)

    def progress_span(self, begin: float, end: float) -> ContextManager[None]:
        """Within this block, 0 to 100 percent of progress stand for ``begin`` to ``end`` percent of the task."""
        return self._throttle.within(begin, end)

    @property
    def line_handler(self) -> RegexHandler | None:
        """What looks at an application's lines as :attr:`watch` says, for ``LoggingSubprocess``; None without any."""
        if not self.watch:
            return None
        from .lines import Watcher

        return Watcher(self, self.watch)

    def set_env(self, name: str, value: str) -> None:
        """Set a variable for the session's later actions; only while starting.

        Raises :class:`ValueError` for a name or value that the environment cannot hold, :class:`RuntimeError` later on.
        """
        self._say_env("set_env", name, value)

    def redact_env(self, name: str, value: str) -> None:
        """As :meth:`set_env`, and the scheduler shows the value nowhere (the extension REDACTED_ENV_VARS)."""
        self._say_env("set_env", name, value, "openjd_redacted_env")

    def unset_env(self, name: str) -> None:
        """Remove a variable for the session's later actions; as :meth:`set_env`."""
        self._say_env("unset_env", name)

    #: Whether the scheduler takes environment variables now; the lifecycle sets it.
    _may_set_env = False

    def _say_env(self, kind: str, *arguments: str) -> None:
        from . import output, session

        line: str = getattr(session, kind)(*arguments)
        if not self._may_set_env:
            raise RuntimeError("environment variables can only be set while the adaptor starts")
        output.say(line)

    @property
    def path_mapping_rules(self) -> Sequence[PathMappingRule]:
        """The rules, in the order of the document."""
        return self._path_mapping_rules.copy()

    def map_path(self, path: str | os.PathLike[str]) -> str:
        """Where ``path`` lies on this host: mapped once, by the matching rule with the longest source path."""
        from .paths import map_path

        return map_path(self._path_mapping_rules, path)


class Adaptor(BaseAdaptor[Config]):
    """An adaptor that keeps something open between its tasks.

    ``on_start`` opens it, ``on_run`` runs one task in it, ``on_stop`` closes it, ``on_cleanup`` makes sure. An
    exception in one of them fails the phase.
    """

    def on_start(self) -> None:
        """Once, before the first task."""

    @abstractmethod
    def on_run(self, run_data: dict[str, Any]) -> None:
        """One task."""

    def on_stop(self) -> None:
        """Once, after the last task, also after a failed one or a failed start."""

    def on_cleanup(self) -> None:
        """Once, at the very end, whatever happened before."""

    _start, _run = _calling("on_start"), _calling("on_run")
    _stop, _cleanup = _calling("on_stop"), _calling("on_cleanup")


class CommandAdaptor(BaseAdaptor[Config]):
    """An adaptor that runs one process a task; a cancel terminates the process and all below it."""

    @abstractmethod
    def get_managed_process(self, run_data: dict[str, Any]) -> ManagedProcess:
        """The process of this task."""

    def on_prerun(self) -> None:
        """Before :meth:`get_managed_process`."""

    def on_postrun(self) -> None:
        """After the process has ended with success."""

    def _run(self, run_data: dict[str, Any]) -> None:
        call_hook(self, "on_prerun")
        process = call_hook(self, "get_managed_process", run_data)
        if not hasattr(process, "run"):
            what = type(self).__name__, process
            raise AdaptError("get_managed_process of %s returned %r, not a ManagedProcess" % what)
        if self.watch:
            from .lines import Watcher

            if not any(isinstance(handler, Watcher) for handler in (process.stdout_handler, process.stderr_handler)):
                process._watcher = self.line_handler
        call_hook(process, "run")
        call_hook(self, "on_postrun")
