"""An adaptor for tests that does what its data say: ``{"do": name, ...}`` calls ``do_name`` with the rest."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time

from openjd_adapt import Adaptor, LoggingSubprocess

log = logging.getLogger("probe")

# Forks twice into sessions of their own, ignores SIGTERM, and stays.
ORPHAN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork(): os._exit(0)
    os.setsid()
time.sleep(300)
"""


class Probe(Adaptor):
    def on_start(self):
        log.info("on_start")
        self.obey(self.init_data.get("on_start", {}))

    def on_run(self, run_data):
        self.obey(run_data)

    def on_stop(self):
        log.info("on_stop")
        self.obey(self.init_data.get("on_stop", {}))

    def on_cleanup(self):
        log.info("on_cleanup")
        self.obey(self.init_data.get("on_cleanup", {}))

    def on_cancel(self):
        log.info("on_cancel on %s", threading.current_thread().name)
        self.obey(self.init_data.get("on_cancel", {}))

    def obey(self, data):
        data = dict(data)
        name = data.pop("do", None)
        if name:
            getattr(self, "do_" + name)(**data)

    def do_say(self, text):
        log.info(text)

    def do_report(self, progress, status):
        self.update_status(progress=progress, status_message=status)

    def do_fail(self, text="it went wrong"):
        raise RuntimeError(text)

    def do_exit(self, code):
        sys.exit(code)

    def do_vanish(self, code):
        os._exit(code)

    def do_signal(self, number):
        os.kill(os.getpid(), number)

    def do_lines(self, how, count, fail=False):
        """``count`` numbered lines, all in one way."""
        if how == "log":
            for number in range(count):
                log.info("line %d", number)
        elif how == "print":
            for number in range(count):
                print("line %d" % number)
        elif how == "write":
            for number in range(count):
                os.write(1, b"line %d\n" % number)
        elif how == "child":
            program = "for n in range(%d): print('line %%d' %% n)" % count
            with LoggingSubprocess(args=[sys.executable, "-c", program]):
                pass
        if fail:
            raise RuntimeError("after the lines")

    def do_interleave(self, count):
        libc = ctypes.CDLL(None)
        for number in range(count):
            log.info("log %d", number)
            print("print %d" % number)
            os.write(1, b"write %d\n" % number)
            libc.printf(b"printf %d\n", ctypes.c_int(number))
            subprocess.check_call(["/bin/echo", "echo %d" % number])
            self.update_status(progress=number % 101)

    def do_hold_gil(self, seconds=0, size=0):
        """C code that never gives the GIL back: a sleep, or one large write."""
        libc = ctypes.PyDLL(None)
        print("holding")
        if size:
            line = b"x" * 99 + b"\n"
            data = line * (size // len(line))
            written = 0
            while written < len(data):
                written += libc.write(1, data[written:], len(data) - written)
        if seconds:
            libc.sleep(seconds)

    def do_sleep(self, seconds):
        print("sleeping")
        self.sleep(seconds)
        print("slept")

    def do_poll(self):
        print("polling")
        self.cancelled.wait(60)
        print("done polling")

    def do_raise_on_cancel(self):
        print("waiting")
        self.cancelled.wait(60)
        raise RuntimeError("because of the cancel")

    def do_ignore_cancel(self, seconds):
        print("ignoring")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)

    def do_spin(self, seconds):
        """As ``ignore_cancel``, without a sleep."""
        print("spinning")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    def do_tree(self, seconds=300):
        """A child, its orphan in a session of its own, and a wait."""
        subprocess.Popen([sys.executable, "-c", ORPHAN])
        subprocess.Popen(["sleep", "300"])
        time.sleep(0.3)
        print("tree is up")
        self.sleep(seconds)

    def do_tree_in_groups(self, seconds=300):
        """A process behind a wrapper that is gone, in their group, and one in a group of its own."""
        with LoggingSubprocess(args=["sh", "-c", "sleep 300 & echo"]) as process:
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            process.wait_quietly(60)
            print("tree is up")
            self.sleep(seconds)

    def do_environment(self, name, value):
        self.set_env(name, value)

    def do_where(self):
        print("cwd %s, FLAVOUR %s" % (os.getcwd(), os.environ.get("FLAVOUR")))

    def do_late(self, text):
        """Output from a thread of the adaptor's after the task has ended."""
        threading.Thread(target=lambda: (time.sleep(0.3), print(text)), daemon=True).start()

    def do_size(self):
        print("init data has %d bytes" % len(self.init_data.get("blob", "")))

    def do_map(self, path):
        print("mapped to " + self.map_path(path))

    def do_signals(self):
        print("SIGINT %s, SIGTERM %s" % (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))

    def do_note(self, path, text):
        """Say something where it can be read when nobody has the output."""
        with open(path, "a") as stream:
            stream.write(text + " ")

    def do_fork_and_terminate(self):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(pid, signal.SIGTERM)
        print("the child died of signal %d" % os.waitpid(pid, 0)[1])

    def do_fork_with_a_handler(self):
        def end(number, frame):
            print("the author's handler")
            sys.stdout.flush()
            os._exit(5)

        before = signal.signal(signal.SIGTERM, end)
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        print("the child has left with %d" % (os.waitpid(pid, 0)[1] >> 8))
        signal.signal(signal.SIGTERM, before)

    def do_bar(self):
        """A progress bar, of which no line ever ends."""
        print("10%", end="\r")
        self.sleep(300)

    def do_eat_memory(self):
        eaten = []
        while True:
            eaten.append(b"x" * 1_000_000)

    def do_slow_lines(self, count, seconds):
        """``count`` lines, the first at once, the others evenly in the given time."""
        for number in range(count):
            print("line %d" % number)
            if number % 1000 == 1:
                time.sleep(1000 * seconds / count)

    def do_lines_later(self, count, width=0, done=None):
        """Lines that nobody reads: from a thread, when the task has ended."""

        def write():
            time.sleep(0.3)
            for number in range(count):
                print(("line %d" % number).ljust(width))
            if done:
                self.do_note(done, "all written")

        threading.Thread(target=write, daemon=True).start()

    def do_long_line(self, size):
        print("x" * size)

    def do_raw(self, data):
        os.write(1, bytes.fromhex(data))
