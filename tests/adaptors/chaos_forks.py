"""Forks that nobody thought of, for the chaos test: children that come back, by way of whatever runs there."""

import os
import sys

#: The exit code of each kind of child.
CODES = {"raises": 1, "fails to exec": 1, "exits": 3, "leaves": 0, "logs": 0}


def fork_and_wait(kind, sleep, act=bool):
    """Fork a child, go on for a while, and see how it has ended; ``act`` is what one does that logs."""
    pid = os.fork()
    if pid == 0:
        if kind == "raises":
            raise RuntimeError("made to fail in a forked child")
        if kind == "fails to exec":
            os.execvp("no-such-renderer", ["no-such-renderer"])
        if kind == "exits":
            sys.exit(3)
        act()
        os._exit(0)
    ended, status = os.waitpid(pid, os.WNOHANG)
    while not ended:
        sleep(0.005)
        ended, status = os.waitpid(pid, os.WNOHANG)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    if code != CODES[kind]:
        raise RuntimeError("the forked child that %s has ended with %d" % (kind, code))
