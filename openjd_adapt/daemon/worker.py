"""The worker: one adaptor, its phases on the main thread, in a process of its own.

The keeper's commands come as frames over a socket pair: ``{"init": {...}}`` once, with the launch spec's data as body,
then ``{"do": "start"}``, ``{"do": "run", "from": "--run-data"}`` with its data as body and ``{"do": "stop"}`` one at a
time, each with its ``number``, and ``{"cancel": seconds}`` or ``{"hurry": seconds}`` at any moment. The answer, with
that number, goes the way of all output, behind the task's last line, as a marker (see ``wire``). The worker says three
things here: ``{"terminate": true}`` when somebody has sent it SIGTERM, ``{"bound": seconds, "name": attribute}`` when a
task has a time bound, and ``{"told": {...}}`` to a ``{"tell": true}``. On Windows the control has one way, and nobody
hears them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import queue
import sys
import threading
import time

from .. import __version__, config, data, lifecycle, output, plain_json, system, task
from ..adaptor import call_hook, file_of
from ..data import INIT_DATA, RUN_DATA
from ..errors import DONE, AdaptError, InputError, check_has_run, flush_streams
from ..system.interpreter import PACKAGE
from ..task import Task
from ..transport.wire import InOrder, encode, encode_marker, frames
from .launch_spec import LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, NoReturn

    from ..adaptor import BaseAdaptor
    from ..schema import AdaptorDataValidator
    from ..transport.wire import Frame, Message


#: How long, in seconds, the threads of an adaptor that has stopped may go on; less than the dispatcher's EXIT_SECONDS.
THREADS_SECONDS = 5.0
#: A write of this many bytes to a pipe is never mixed with another's (PIPE_BUF: on Linux, and the least elsewhere).
_MARKER_BYTES = 4096 if sys.platform.startswith("linux") else 512


def serve(load: Callable[[], type[BaseAdaptor]], on_bootstrap_complete: Iterable[Callable[[], object]]) -> NoReturn:
    """Be the worker until the adaptor has stopped, and end this process as a Python ends, without the rest of a script.

    ``load`` gives the class, or raises :class:`InputError`.
    """
    output.install_pipe()
    output.install_logging()
    output.spare_records()
    control = system.worker_control()
    say = InOrder(lambda message: control.sendall(encode(message)))
    # Who ends this process by SIGTERM means the daemon, which cancels, stops and cleans up.
    system.catch_termination(lambda: say({"terminate": True}))
    said = frames(control.recv, LIMIT)
    first, body = next(said)
    init = {**first["init"], **plain_json.loads(body.decode("ascii"))}
    del body  # it may be large
    task.private_folder = init["folder"]
    if first["groups"]:
        system.worker_groups()  # type: ignore[attr-defined, unused-ignore]
    tasks: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def on_made(adaptor: BaseAdaptor) -> None:
        kind = type(adaptor)
        logging.getLogger(__name__).info(
            "openjd_adapt %s (%s), adaptor %s%s (%s), Python %s (%s)",
            *(__version__, PACKAGE, kind.__name__, version_of(kind), file_of(kind)),
            *(sys.version.split()[0], sys.executable),
        )
        for act in list(on_bootstrap_complete):  # one may remove itself
            check_has_run("a callback of on_bootstrap_complete", act())

    life = Life(load, init, on_made)
    life.task.on_bound = lambda seconds, name: say({"bound": seconds, "name": name})
    task.enter(life.task)  # which is this process's between two tasks, too
    try:
        task.start(threading.Thread(target=_listen, args=(said, tasks, life, say), name="control", daemon=True))
    except AdaptError as error:
        sys.exit("ERROR: the adaptor's process: %s" % error)
    while not life.ended:
        message = tasks.get()
        result = {**life.perform(message).to_dict(), "number": message["number"]}
        output.write(encode_marker(init["token"], result, _MARKER_BYTES), column_0=False)
    with contextlib.suppress(RuntimeError):  # where there is no room for a thread the keeper bounds them
        threading.Thread(target=_bound_threads, name="end", daemon=True).start()
    threading._shutdown()  # type: ignore[attr-defined]
    _end()


def version_of(kind: type) -> str:
    """`` 1.2``, the ``__version__`` of the adaptor's module or of a package around it; else `` 1.2 of NAME``, of its
    distribution; else nothing.

    ``importlib.metadata`` costs a start 20 to 150 ms; the one RECORD that has the module's file costs a tenth of one.
    """
    spec = getattr(sys.modules.get(kind.__module__), "__spec__", None)
    packages = getattr(spec, "name", kind.__module__).split(".")  # of what -m runs it is not __main__
    words = os.path.abspath(file_of(kind) or "").replace(os.sep, "/").split("/")
    depth = len(packages) + (words[-1] == "__init__.py")
    while packages:
        version = getattr(sys.modules.get(".".join(packages)), "__dict__", {}).get("__version__")
        if isinstance(version, str):
            return " " + version
        packages.pop()
    folder, place = "/".join(words[:-depth]), "/".join(words[-depth:])
    with contextlib.suppress(OSError):  # as of a folder in an archive
        found = [each for each in os.listdir(folder) if each.endswith(".dist-info")] if depth > 1 else []
        # The one whose name is most like the place comes first.
        found.sort(key=lambda name: -sum(word in place for word in name.lower().partition("-")[0].split("_")))
        for each in found:
            record = "%s/%s/RECORD" % (folder, each)
            if os.path.isfile(record):  # Debian's have none
                with open(record, "rb") as stream:
                    if b"\n%b," % os.fsencode(place) in b"\n" + stream.read():
                        name, _, version = each[: -len(".dist-info")].rpartition("-")
                        return " %s of %s" % (version, name.replace("_", "-"))
    return ""


def _bound_threads() -> None:
    """Python's own wait for threads that are not daemon threads has no end: name them, and end without them."""
    time.sleep(THREADS_SECONDS)
    left = [one.name for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    if left:
        what = "the adaptor's process ends without these threads: %s" % ", ".join(left)
        output.write_lines("WARNING", what + "; end them in on_cleanup, or make them daemon threads")
        _end()


def _end() -> NoReturn:
    atexit._run_exitfuncs()
    flush_streams()
    output.flush()
    os._exit(DONE)


def _listen(said: Iterator[Frame], tasks: queue.SimpleQueue[Message], life: Life, say: InOrder) -> None:
    """The control thread: hand tasks to the main thread, and cancel beside it."""
    try:
        for message, body in said:
            if "cancel" in message:
                life.cancel(message["cancel"])
            elif "hurry" in message:
                life.task.hurry(message["hurry"])
            elif "tell" in message:
                say({"told": life.facts()})
            else:
                life.task.begin(message.get("within"))  # from now on a cancel is this task's
                tasks.put({**message, "body": body})
            del body  # it may be large, and the next may come hours later
    finally:  # the keeper is dead; where nobody else sees to this process and its children, it does
        system.kill_own_tree()


def make(kind: type[BaseAdaptor], init_data: dict[str, Any], config_files: list[str], **options: Any) -> BaseAdaptor:
    """An adaptor that knows what ``--config`` names before its ``__init__``, which may ask for the configuration."""
    adaptor = kind.__new__(kind, init_data, **options)  # type: ignore[call-arg]
    adaptor._command_line_files = config_files
    adaptor.__init__(init_data, **options)  # type: ignore[misc]
    return adaptor


class Life:
    """One adaptor and its tasks, whatever they are asked for by."""

    def __init__(
        self, load: Callable[[], type[BaseAdaptor]], init: Message, on_made: Callable[[BaseAdaptor], object]
    ) -> None:
        """``load`` gives the class; ``init`` is the first message; ``on_made`` gets the adaptor before it starts."""
        self._load = load
        self._init = init
        self._attempt = functools.partial(lifecycle.attempt, debug=init["debug"])
        self._on_made = on_made
        self._runner: lifecycle.AdaptorRunner | None = None
        self._schemas: dict[str, AdaptorDataValidator] = {}
        self._fills = False
        #: Begun by whoever hears of it, before it is performed.
        self.task = Task()
        #: The adaptor's life is over.
        self.ended = False

    def cancel(self, within: float | None) -> None:
        """Cancel the task; the adaptor's cancel() runs on a thread of its own, so that a further cancel is heard."""
        with self.task.changing:
            if not (self.task.cancel(within) and self._runner):
                return
            self.task.canceling = threading.Thread(target=self._call_cancel, name="cancel", daemon=True)
            try:
                task.start(self.task.canceling)
                return
            except AdaptError:  # then a further cancel has to wait
                self.task.canceling = None
        self._call_cancel()

    def _call_cancel(self) -> None:
        assert self._runner is not None
        self._attempt(functools.partial(call_hook, self._runner.adaptor, "cancel")).report()

    def facts(self) -> dict[str, Any]:
        """What ``daemon status`` tells of the task and of what the adaptor keeps open."""
        current, app = self.task, getattr(self._runner and self._runner.adaptor, "_app", None)
        return {
            "progress": float(current.progress.partition(": ")[2]) if current.progress else None,
            "status": current.status,
            "waiting_for": current.phase.waiting_for,
            "application": app.facts() if app else None,
        }

    def perform(self, message: Message) -> lifecycle.Result:
        """One task: start, run or stop, and its on_cancel: what that prints is the task's. ``body`` is a key of it."""
        output.ProgressThrottle.waiting.clear()  # what was reported before is not this task's
        if message["do"] == "start":
            result = self._start()
        elif message["do"] == "run":
            result = self._attempt(functools.partial(self._run, message))
        else:
            self.ended = True
            result = self._attempt(*([self._runner._stop, self._runner._cleanup] if self._runner else []))
        flush_streams()  # also what the adaptor has put in their place
        self.task.rest()
        return result

    def _start(self) -> lifecycle.Result:
        """Make the adaptor and start it; if that fails, stop and clean up what there is."""
        result = self._attempt(self._make)
        runner = self._runner
        if runner and result.outcome == "done":
            if "announcement" in self._init:  # not before the data are known to be good, and before on_start
                output.say(self._init["announcement"])
            result = self._attempt(runner._start)
        if result.outcome != "done":
            self.ended = True
            self.task.end()
            if runner:
                started = runner.state is not lifecycle.AdaptorState.NOT_STARTED
                self._attempt(*[runner._stop] * started, runner._cleanup).report()
        return result

    def _make(self) -> None:
        """Load the class and make the adaptor, unless a cancel comes before it is to start."""
        init = self._init
        kind = self._load()
        self._schemas, self._fills = kind._schemas(), kind.apply_defaults
        self._check(INIT_DATA, init["init_data"], init["init_data_from"])
        if "run_data" in init:  # of the only task, which is to fail before anything is started for it
            self._check(RUN_DATA, init["run_data"], init["run_data_from"])
        try:
            adaptor = make(kind, init["init_data"], init["config"], path_mapping_data=init["path_mapping"])
        except TypeError as error:
            place = error.__traceback__ and error.__traceback__.tb_next
            if place and place.tb_next:
                raise  # it comes from the author's own code, below ours
            raise InputError("%s cannot be made: %s" % (kind.__name__, error)) from None
        adaptor._task = self.task
        self._runner = lifecycle.AdaptorRunner(adaptor=adaptor)
        logging.getLogger().setLevel(config.log_level(adaptor.config, init["log_level"]))
        adaptor._check_definition()
        self._on_made(adaptor)
        self.task.phase.check()

    def _run(self, message: Message) -> None:
        assert self._runner is not None
        run_data, where = self._init.pop("run_data", None), message["from"]
        if run_data is None:  # else they are checked
            text = message.pop("body").decode("utf-8", "backslashreplace")  # what is not UTF-8 is not JSON then
            run_data = data.as_object(where, data.parse(where, text))
            self._check(RUN_DATA, run_data, where)
        self._runner._run(run_data)

    def _check(self, kind: str, data: dict[str, Any], where: str) -> None:
        """Raise :class:`InputError` if the data that come from ``where`` are not as the adaptor's schema wants them."""
        if kind in self._schemas:
            if self._fills:
                self._schemas[kind].fill(data)
            self._schemas[kind].validate(data, where)
