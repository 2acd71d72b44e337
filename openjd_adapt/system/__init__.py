"""The one contract with the operating system: what differs between systems has one name here, and is picked here alone.

What each name is on every system stands here; a system's module says what is particular there. Times are in seconds;
what fails raises :class:`OSError`.

Signals and the end of this process:
    signal: the standard library's module, or the part of it that costs little.
    TERMINATION, CANCEL_SIGNALS: how others ask a process to end; what cancels a command.
    CHILD_SIGNALS: what tells of the end of a process's children.
    Bell: rung by any thread, it makes its descriptor readable for a loop; ``heard`` gives all that it was rung with.
    Wakeup: a bell that ``signals`` ring, too, each with its number, whatever the main thread blocks in.
    catch_termination: call ``act`` on the main thread when this process gets TERMINATION.
    reset_signals: undo what the caller or an author's main may have set, and block none but those of ``blocked``.
    hand_over: run another program in this one's place; returns its exit code, if it returns.
    finish: the last that a process does, before it ends as any interpreter: what was sent over connections that are
        closed now reaches the other process.
    kill_own_tree: kill this process and all that it has started.
Waits and streams:
    READ, WRITE, BROKEN: what a descriptor is waited for, and found ready for; broken is found without being asked for.
    wait_for: wait until a descriptor is ready for what is wanted, or broken; empty after ``timeout`` (None: never).
    wait_readable: wait until a pipe has something to read or has ended; False after ``timeout``.
    read_at, write_all: at most ``size`` bytes of an open file from ``place`` on; all of ``data``.
    StandardStream: for a loop that must never block in a write. It waits for INTEREST until ``write`` makes progress,
        which tells how much it took, or raises BlockingIOError if nothing. ``wakeup`` is rung when ``is_broken``, which
        is that nobody reads it any more, if waiting does not tell. ``close`` leaves the descriptor itself open.
    ensure_standard_descriptors: see :mod:`.interpreter`, as for ``long_path``.
Files:
    configuration_folder: where the host's configuration lies.
    path_of_uri: the path that stands behind ``file://``.
    temporary_folder: a folder for private ones: the first usable one of the system's, of ``more``, the current one.
    make_private_folder: make a folder that this user alone may enter, or take one that this user has made.
    remove_private_folder: remove it, and in it the files whose names begin with one of ``prefixes``, as far as it can.
    create_private: make a file that this user alone may open; FileExistsError if there is one of that name. ``more``
        permissions are given, as far as the umask lets them be, but for Windows.
    open_private: open such a file; OSError, with a reason, if it is not this user's alone, or no file at all.
    give_name: rename a file, but never over another: FileExistsError.
    lock: lock an open file for the life of its description, exclusively unless ``shared``; False if another holds it.
    is_locked: whether another holds the lock of an open file.
    wait_for_lock: wait until nobody else holds the lock of an open file, and hold it; False after ``timeout``.
Connections:
    KEYED: whether a peer must prove that it knows the connection file's key, as the system does not tell who it is.
    Endpoint: where a daemon listens; ``text`` is what stands in a connection file of ``folder``, ``address`` is for
        clients that are not this package's.
    accept: the next connection.
    peer_is_me: whether the other end of a connection runs as this process's user, as far as the system tells.
Processes:
    FORKS: whether guardian and keeper are forked.
    GROUP_OPTIONS, ASKABLE_OPTIONS: for ``subprocess.Popen``: a child for a Tree; a child that ``ask`` can ask.
    prepare_command: what to start for a command.
    quoted: words as a line that a person pastes into the shell.
    start_time: when a process started, in the system's own unit; 0 if that cannot be told.
    lives: whether the process that started then has not ended.
    names_of: processes, in words.
    tree_of: a process, if it is still the one that started then, and all below it, by their start times; empty if not.
    kill_all: kill such processes; returns those that live after ``timeout``.
    wait_unreaped: block until a child has ended, and leave its pid its own; returns its exit code.
    ask: ask a child, a command of ours, to end as a scheduler does, or for SIGINT as a terminal; False if it is killed.
    Tree: a child that leads a group, and all below it or in a group with them. ``look`` notes them, and tells whether
        any but the child lives; ``pids`` gives the living ones; ``ask`` them to end (False if they cannot be asked),
        ``kill`` them, ``release`` them when the child is reaped.
    kill_children: kill and reap this process's children until none but ``spare`` is left; returns what else is left:
        after ``timeout`` (None: never), or because it is another user's.
    kill, wake: kill a process, if it is still the one that started then (False if it is not, or if that cannot be
        told); let it go on if it was stopped.
    Worker: the process of an adaptor, with all below this process, of what :func:`launch.fork_worker` gives, or
        start_worker. ``bell`` rings when it has ended; ``read`` gives
        some of its output, b"" at the end, and raises BlockingIOError if there is none now; ``returncode`` is None
        while it lives; ``kill`` kills it alone; ``end_all``, when it has ended, kills all that it has left, and returns
        what does not die in time.
    worker_control: in the adaptor's process: its end of the control.

Only where processes can be forked: Ledger, arrange, become_subreaper, children, close_inherited, enlarge,
set_title, silence, worker_groups, CONTROL_DESCRIPTOR. Only where they cannot: start_keeper, start_worker,
starter_of_keeper, is_doomed.
"""

from __future__ import annotations

import sys
import time

from .interpreter import ensure_standard_descriptors as ensure_standard_descriptors, long_path as long_path

try:
    if sys.platform == "win32":
        from .windows import *  # noqa: F403
    else:
        from .posix import *  # noqa: F403
except ModuleNotFoundError as error:
    if error.name not in (__name__ + ".posix", __name__ + ".windows"):
        raise
    from ..errors import PartLeftOut

    package = __name__.rpartition(".")[0]
    raise PartLeftOut("this copy of %s was made for another system: it has no %s" % (package, error.name)) from None

TYPE_CHECKING = False  # what follows stands behind these imports, which else ask it for modules of this folder
if TYPE_CHECKING:
    if sys.platform == "win32":
        from .windows_processes import *  # noqa: F403
    else:
        from .posix_processes import *  # noqa: F403
else:
    _OF_PROCESSES = (
        "ASKABLE_OPTIONS CHILD_SIGNALS CONTROL_DESCRIPTOR FORKS GROUP_OPTIONS Ledger Tree Worker ask become_subreaper"
        " children descendants finish hand_over is_doomed kill kill_all kill_children kill_own_tree lives names_of"
        " prepare_command quoted send_signal set_title start_keeper start_time start_worker starter_of_keeper tree_of"
        " wait_unreaped wake worker_control worker_groups"
    )

    def __getattr__(name):
        """What is about processes is loaded by who asks for it: the command of a task does not, as that takes time.

        Nothing is loaded by who asks all modules for something, as Blender does when it ends.
        """
        found = {}
        is_one = name in _OF_PROCESSES.split()
        if is_one and sys.platform == "win32":
            from .windows_processes import __dict__ as found
        elif is_one:
            from .posix_processes import __dict__ as found
        if name not in found:
            raise AttributeError("module %r has no attribute %r" % (__name__, name))
        return found[name]


def wait_for_lock(descriptor: int, timeout: float) -> bool:
    """No system can wait for a lock so long and no longer: it is asked again and again, and less often in the end."""
    end = time.monotonic() + timeout
    pause = 0.001
    while not lock(descriptor):  # noqa: F405
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
        pause = min(1.2 * pause, 0.05)
    return True
