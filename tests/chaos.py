"""Chaos: a seeded random history of commands, cancels, kills and full disks over real daemons, and what must hold.

    python -m tests.chaos --steps 300 --seed 7 [--verbose]

A *life* is a folder with a connection file and the daemons that follow one another there, until a ``daemon stop``. Each
step is a function of the table at the end; it is drawn among those that fit the life's situation, does one thing, adds
what that may lead to to the exit codes that the commands may have, and returns what came of it (None: it does not fit
after all, and another is drawn). The random choices of a step depend on seed and number alone, but real processes have
a pace of their own: a seed repeats a history nearly.
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from .conftest import ADAPTORS, HANG_SECONDS, Farm

NONE, DEAD, LOADING, IDLE, BUSY = "none", "dead", "loading", "idle", "busy"
ANY = (NONE, DEAD, LOADING, IDLE, BUSY)
#: A line of an adaptor's, whole, and what a piece of one looks like.
LINE = re.compile(rb"(?:INFO: |STDOUT: )?L:(\d+[a-z]):(\d+):(?:x|\xc3\xa9|\xe7\x8c\xab|\\xe9|\\udce9)*;")
PIECE = re.compile(rb"L:\d+[a-z]:\d|xxxxxxxxx")
#: The beginning and the end of a line that is unfinished for a while; others may write in between.
UNFINISHED = re.compile(rb"U:\d+:\d+[~.]")
#: What openjd-sessions acts on, be it by canceling the action, and those that the commands here may say.
DIRECTIVE = re.compile(rb"(?m)^(?:openjd_[a-z_]+: .*|(?i:[ \t]*openjd_(?:redacted_|unset_)?env(?:[:\s].*|$)))")
SAID = re.compile(rb"openjd_(fail|progress|status): .*|openjd_env: OPENJD_ADAPTOR_SOCKET=.*")
#: Within how many seconds commands end that have nothing to wait for or end a task, that end a daemon (whose task may
#: ignore its cancel for 30), and how long the dead may take to be gone: only a hang takes as long.
BRIEF = TASK = HANG_SECONDS
STOP = 2 * HANG_SECONDS
#: When a command whose messages nobody reads is signalled.
SOON = 5.0
#: Within how many seconds the dead and all below them are gone, as :func:`turns` counts them, and their commands have
#: ended: some ends wait for one another, each with a limit of its own, and a limit that is reached shows here.
GRACE = 10.0
ENDLESS = 10**6
TMPFS_BYTES = 16 * 1024 * 1024
#: What tasks do beside writing lines, as the adaptors understand it.
ODD_DEEDS = (
    *[(how, kind) for how in ("fork", "application_fork") for kind in ("raises", "fails to exec", "exits", "leaves")],
    ("fork", "logs"),
    *[("unfinished", kind) for kind in ("called", "raises", "leaves")],
    *[("directives", how) for how in ("printed", "of a child", "forwarded", "of the application")],
)


class Fault(Exception):
    """A promise that was not kept."""


def turns(seconds: float, pause: float = 0.01):
    """Let the caller look every ``pause`` seconds until ``seconds`` are over; at least twice.

    What a busy machine takes for a look is not counted, but for 50 ms: a bound tells of a wait, not of a machine.
    """
    left = seconds
    yield
    while left > 0:
        began = time.monotonic()
        time.sleep(pause)
        yield
        left -= min(time.monotonic() - began, pause + 0.05)


class Disk:
    """The TMPDIR of all commands: where that can be had a small file system of its own, which can be full."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"
        path.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", "size=%d" % TMPFS_BYTES, "chaos", str(path)]
        self.is_own = os.geteuid() == 0 and subprocess.call(words, stderr=subprocess.DEVNULL) == 0

    @property
    def is_full(self) -> bool:
        return self._filler.exists()

    @property
    def used(self) -> int:
        facts = os.statvfs(str(self.path))
        return (facts.f_blocks - facts.f_bfree) * facts.f_frsize

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(1024 * 1024))
            except OSError:
                return

    def free(self) -> None:
        if self.is_full:
            self._filler.unlink()

    def left(self) -> list:
        return sorted(path for path in self.path.iterdir() if path != self._filler)

    def close(self) -> None:
        if self.is_own:
            subprocess.call(["umount", "-l", str(self.path)])


def full_stream(kind: str) -> tuple:
    """The two ends of a pipe or a terminal that takes nothing more until somebody reads it."""
    reading, writing = os.openpty() if kind == "terminal" else os.pipe()
    os.set_blocking(writing, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(writing, b"." * size)
        except BlockingIOError:
            continue
    os.set_blocking(writing, True)
    return reading, writing


class Command:
    """A command that runs, its reader, and the exit codes that are right for it so far."""

    def __init__(self, process, word: str, codes: set, work: dict, slow: tuple, unread: tuple = ()) -> None:
        """``unread``: its standard error, which is full and which nobody reads."""
        self.process, self.word, self.codes, self.work = process, word, set(codes), work
        self.unread = unread
        self.is_deaf = bool(unread)
        #: Bytes of a read, and seconds after each, for the first three seconds; () for a reader that takes all at once.
        self.slow = slow
        self.out, self.err = bytearray(), bytearray()
        self.paused = self.cut = self.expendable = False
        self._closing = threading.Event()
        self._readers = [threading.Thread(target=act, daemon=True) for act in (self._read_out, self._read_err)]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        stream, slow_until = self.process.stdout, time.monotonic() + 3
        while not self._closing.is_set():
            if select.select([stream], [], [], 0.02)[0]:
                slow = self.slow and time.monotonic() < slow_until
                data = os.read(stream.fileno(), self.slow[0] if slow else 65536)
                self.out += data
                if not data:
                    break
                time.sleep(self.slow[1] if slow else 0)
        if self._closing.is_set():
            # All that the front has written must have been read, so that no line is lost with the pipe.
            self.pause()
            os.set_blocking(stream.fileno(), False)
            self.out += stream.read() or b""
            stream.close()
            self.resume()
        stream.close()

    def _read_err(self) -> None:
        for line in self.process.stderr or ():
            self.err += line
        if self.process.stderr:
            self.process.stderr.close()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)  # not reaped before finish(), so the pid is still its own

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)
        while Path("/proc/%d/stat" % self.process.pid).read_text().rpartition(")")[2].split()[0] not in "TZ":
            time.sleep(0.001)
        self.paused = True

    def resume(self) -> None:
        self.signal(signal.SIGCONT)
        self.paused = False

    def close_output(self) -> None:
        self._closing.set()
        self._readers[0].join()
        self.cut = True

    def wait(self, bound: float) -> int:
        code = None
        if self.unread:
            code = self._wait_for_end(SOON)
            if code is None:  # it may wait for somebody to read its messages, until it is signalled
                self.codes |= {4, -signal.SIGTERM}
                self.signal(signal.SIGTERM)
        code = self._wait_for_end(bound) if code is None else code
        for descriptor in self.unread:
            os.close(descriptor)
        self.unread = ()
        if code is None:
            raise Fault("%s has not ended within %g s" % (self, bound))
        for reader in self._readers:
            reader.join(BRIEF)
            if reader.is_alive():
                raise Fault("%s has ended, but somebody holds its output" % self)
        return code

    def _wait_for_end(self, bound: float):
        for _ in turns(bound):
            if self.process.poll() is not None:
                break
        return self.process.returncode

    def wait_for(self, condition, bound: float) -> None:
        end = time.monotonic() + bound
        while not condition() and time.monotonic() < end and os.waitid(
            os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ) is None:  # fmt: skip
            time.sleep(0.005)

    def __str__(self) -> str:
        return "%s (pid %d)" % (self.word, self.process.pid)


class Life:
    """A folder, its daemons, and what is known of them."""

    def __init__(self, folder: Path, disk: Disk, counts: Counter, without: frozenset) -> None:
        folder.mkdir()
        self.without = without
        self.farm = Farm(folder)
        self.disk, self.counts = disk, counts
        self.farm.env["TMPDIR"] = str(disk.path)
        self.saves = folder / "saves"
        self.saves.mkdir()
        self.situation = NONE
        self.ended = False
        self.chance = random.Random()
        #: The command that has begun in an earlier step: a start while LOADING, a run while BUSY.
        self.front = None
        self.daemon = 0
        self.is_application = self.application_killed = False
        self.on_stop = {}
        self.records = []
        #: The daemons that may lose lines: because of a kill above the worker; because of the worker's own, forwarded
        #: ones; because of a full disk, if that is told.
        self.lossy, self.lossy_forwards, self.lossy_disk = set(), set(), set()
        #: By series: the last line that a command has shown which ended by itself.
        self.floor = {}
        self.shown = defaultdict(set)
        self.spans = []
        self.tells_of_lost_bytes = False
        #: The checkpoints of renderers that have the time to save them when they are asked to end.
        self.checkpoints = []

    # Commands

    def begin(self, word: str, *arguments: str, codes=(0,), work=None, slow=(), popen=None, deaf=0.0) -> Command:
        """``deaf``: how likely nobody reads its standard error."""
        unread, options = (), {}
        if self.chance.random() < deaf and "deaf" not in self.without:
            unread = full_stream(self.chance.choice(["pipe", "terminal"]))
            options = {"stderr": unread[1]}
        process = (popen or self.farm.daemon_popen)(word, *arguments, **options)
        command = Command(
            process, word + ", whose messages nobody reads" * bool(unread), codes, work or {}, slow, unread
        )
        if self.disk.is_full:
            self.lossy_disk.add(self.daemon)
        return command

    def finish(self, command: Command, bound: float) -> int:
        """Wait for a command's end, and judge it."""
        code = command.wait(bound)
        out, err = bytes(command.out), bytes(command.err)
        if code not in command.codes:
            allowed = ", ".join(map(str, sorted(command.codes)))
            raise Fault("%s: exit code %d, not one of %s\n%s" % (command, code, allowed, shorten(out, err)))
        if b"Traceback" in err or b"fault of openjd_adapt" in out + err:
            raise Fault("%s: a traceback of the toolkit\n%s" % (command, shorten(out, err)))
        failures = len(re.findall(rb"^openjd_fail: ", out, re.MULTILINE))
        is_action = not command.word.startswith(("status", "cancel"))
        right = {0, 1} if command.word.startswith("stop") else {int(is_action and code in (1, 2, 3))}
        if not command.cut and failures not in right:
            raise Fault("%s: %d openjd_fail lines, exit code %d\n%s" % (command, failures, code, shorten(out, err)))
        if b"bytes of output are lost: the disk is full" in out + err or command.is_deaf:
            self.tells_of_lost_bytes = True
        cut = command.cut or code < 0 or b"was killed during the task" in out or (command.is_deaf and code == 4)
        self._judge_text(command, cut)
        if not cut and command.work.get("render") and code == 4:
            self.expect_checkpoints()
        self._account(command, cut, b"no longer alive" in err or command.is_deaf)
        return code

    def _judge_text(self, command: Command, cut: bool) -> None:
        """What a scheduler reads is UTF-8, and no directive but those of the runtime."""
        out = bytes(command.out)
        try:
            codecs.getincrementaldecoder("utf-8")().decode(out, final=not cut)
        except UnicodeDecodeError as error:
            around = out[max(0, error.start - 100) : error.end + 100]
            raise Fault("%s: its output is not UTF-8: %s: %r" % (command, error, around)) from None
        for line in DIRECTIVE.findall(out.replace(b"\r", b"\n")):
            if not SAID.fullmatch(line):
                raise Fault("%s: a scheduler would take this for a directive: %r" % (command, line))
        if b"hush-hush" in out:
            raise Fault("%s: a secret is shown: %r" % (command, re.findall(rb".*hush-hush.*", out)))
        begun = Counter(UNFINISHED.findall(out))
        if begun and max(begun.values()) > 1:
            raise Fault("%s: an unfinished line was written more than once: %s" % (command, begun))

    def _account(self, command: Command, cut: bool, of_dead: bool) -> None:
        """Judge the lines that a command has shown; a ``cut`` one may not have acknowledged the last."""
        lines = defaultdict(list)
        for line in UNFINISHED.sub(b"", bytes(command.out)).split(b"\n")[:-1]:
            match = LINE.fullmatch(line)
            if match:
                series, number = match.group(1).decode(), int(match.group(2))
                if lines[series] and number <= lines[series][-1]:
                    raise Fault("%s: line %s:%d after %d" % (command, series, number, lines[series][-1]))
                if number <= self.floor.get(series, -1):
                    raise Fault("%s: line %s:%d was shown and acknowledged before" % (command, series, number))
                lines[series].append(number)
            elif PIECE.search(line) and b"; its last lines: " not in line and not (cut or self.is_lossy or of_dead):
                raise Fault("%s: a mangled line: %.200r" % (command, line))
        for series, numbers in lines.items():
            self.spans.append((command, series, numbers))
            self.shown[series].update(numbers)
            if not cut:
                self.floor[series] = max(numbers[-1], self.floor.get(series, -1))

    def do(self, word: str, *arguments: str, codes=(0,), bound=BRIEF, **options) -> int:
        return self.finish(self.begin(word, *arguments, codes=codes, **options), bound)

    def finish_front(self, bound: float = TASK) -> str:
        """Wait for the front of an earlier step, and tell how it ended."""
        front, self.front = self.front, None
        if front.paused:
            front.resume()
        code = self.finish(front, bound)
        if front.word.startswith("run"):
            self.situation = IDLE if self.situation == BUSY else self.situation
            if front.work.get("ignore") and front.expendable:
                self.resolve()
        elif code in (0, 1):
            self.situation = IDLE if code == 0 else DEAD
        else:
            self.resolve()
        return "%s ended with %d" % (front, code)

    def after(self, was: str) -> str:
        """The situation after a kill; a daemon that still starts may not have named its file."""
        return NONE if was == LOADING and not self.farm.file.exists() else DEAD

    def resolve(self) -> None:
        """Ask the daemon what has become of it, where a moment has decided that."""
        for _ in turns(TASK, 0.05):
            status = self.begin("status", "--json", codes=(0, 3))
            if self.finish(status, BRIEF) == 0:
                if json.loads(bytes(status.out).decode())["state"] in ("idle", "running", "canceling"):
                    self.situation = IDLE
                    return
            elif not self.pids():
                self.situation = DEAD if self.farm.file.exists() else NONE
                return
        raise Fault("a daemon whose start was given up is neither idle nor dead after %d s" % TASK)

    @property
    def is_lossy(self) -> bool:
        return bool(self.lossy or self.lossy_forwards or self.lossy_disk)

    # Processes

    def pids(self) -> set:
        """What lives, but for the commands that were begun here and have not been waited for."""
        return set(self.farm.pids()) - ({self.front.process.pid} if self.front else set())

    def find(self, name: str):
        """The pid of the guardian, keeper, worker or application, or None."""
        word = {"guardian": "guardian of", "keeper": "keeper of", "worker": "_worker", "application": "bootstrap.py"}
        lines = {pid: words_of(pid) for pid in self.farm.pids()}
        for pid, line in lines.items():
            # A child that was forked a moment ago still looks like its parent.
            if word[name] in line and word[name] not in lines.get(parent_of(pid), ""):
                return pid
        return None

    def expect_nothing(self, spare=(), what="", bound=GRACE) -> None:
        for _ in turns(bound):
            left = self.pids() - set(spare)
            if not left:
                return
        raise Fault("%s there still live after %g s: %s" % (what, bound, ["%d: %s" % (p, words_of(p)) for p in left]))

    def expect_checkpoints(self) -> None:
        """Each renderer that has begun, was asked to end and had the time for it has saved its checkpoint."""
        for path in self.checkpoints:
            if path.with_suffix(".begun").exists():
                raise Fault("a renderer has ended, or was left, without its checkpoint %s" % path.name)
        self.checkpoints = []

    # Ends

    def check(self, what: str) -> None:
        """What must hold after a stop."""
        self.ended = True
        self.expect_nothing(what=what)
        self.expect_checkpoints()
        own = {path.name for path in [*self.records, self.saves]}
        left = sorted({path.name for path in self.farm.folder.iterdir()} - own)
        if left:
            raise Fault("after the stop its folder has %s" % left)
        left = self.disk.left()
        if left:
            raise Fault("after the stop TMPDIR has %s" % [str(path) for path in left])
        written = defaultdict(set)
        for record in self.records:
            for line in record.read_text().splitlines() if record.exists() else ():
                series, number = line.split()
                written[series].add(int(number))
        self.counts["lines"] += sum(map(len, written.values()))
        for series, numbers in written.items():
            self._check_series(series, numbers)

    def _check_series(self, series: str, written: set) -> None:
        daemon = int(series[:-1])
        if daemon in self.lossy or (daemon in self.lossy_forwards and series[-1] in "cahd"):
            return
        lost = sorted(written - self.shown[series])
        skipped = [
            (str(command), sorted(n for n in written - set(numbers) if numbers[0] < n < numbers[-1])[:5])
            for command, other, numbers in self.spans
            if other == series
        ]
        skipped = [(command, numbers) for command, numbers in skipped if numbers]
        if daemon in self.lossy_disk and (lost or skipped):
            if not self.tells_of_lost_bytes:
                raise Fault("the disk was full, %d lines of %s are lost, and nobody tells so" % (len(lost), series))
        elif lost:
            raise Fault("%d lines of %s were written and never shown: %s" % (len(lost), series, lost[:20]))
        elif skipped:
            raise Fault("lines of %s were skipped: %s" % (series, skipped))

    def clear(self) -> None:
        """Kill what is left, whatever has happened."""
        for pid in self.farm.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        shutil.rmtree(str(self.farm.folder))

    # Data

    def work(self, **extra) -> dict:
        hows = ["print", "log", "forwarded", "application" if self.is_application else "child"]
        if not self.is_application:
            hows.append("write")  # beside what is forwarded in blocks it would come into the middle of one
        choice, likely = self.chance.choice, lambda odds: self.chance.random() < odds
        lines = [[choice(hows), choice([1, 9, 40])] for _ in range(self.chance.randint(1, 4))]
        lines += [list(choice(ODD_DEEDS)) for _ in range(choice([0, 0, 0, 1, 2]))]
        self.chance.shuffle(lines)
        lines = [line for line in lines if self.is_application or "application" not in "%s %s" % tuple(line)]
        lines = [line for line in lines if not self.without.intersection(line)]
        work = {"pad": choice([0, 0, 80, 2000]), "pause": choice([0, 0, 0.01]), "late": choice([0, 0, 0, 20])}
        work.update(odd=likely(0.2), tree=likely(0.15), lines=lines)
        work.update(alarm=choice([0, 0, 0, 0.1, 0.01]), garbage=likely(0.15))
        work.update(extra)
        if work.get("rounds") == ENDLESS:
            work.update(pad=choice([0, 200]), pause=choice([0.005, 0.03]))
        return {name: value for name, value in work.items() if name == "lines" or value and name not in self.without}

    def codes_of(self, work: dict) -> set:
        if self.application_killed and any("application" in "%s %s" % tuple(line) for line in work["lines"]):
            return {1}
        return set() if work.get("rounds") == ENDLESS or "render" in work else {1 if work.get("fail") else 0}

    def begin_run(self, work: dict, codes=(), slow=(), deaf=0.0) -> Command:
        self.counts["runs"] += 1
        # Of an application that has died before, whatever the task is to do.
        codes = {*codes, *({1} if self.application_killed else self.codes_of(work))}
        return self.begin("run", "--run-data", json.dumps(work), codes=codes, work=work, slow=slow, deaf=deaf)

    def moment(self, most: float = 0.3) -> None:
        time.sleep(self.chance.uniform(0, most))


def words_of(pid: int) -> str:
    try:
        return Path("/proc/%d/cmdline" % pid).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    try:
        return int(Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def shorten(*texts: bytes) -> str:
    return "\n--\n".join(re.sub("xxx+", "x..", text[-1500:].decode("utf-8", "backslashreplace")) for text in texts)


# Steps


def prepare(life: Life, **work) -> dict:
    """The init data of a new daemon."""
    life.daemon += 1
    life.is_application = life.chance.random() < 0.4
    life.application_killed = False
    life.on_stop = life.work(fail=life.chance.random() < 0.15, tree=False)
    kind = "ChaosApplication" if life.is_application else "Chaos"
    life.farm.adaptor = "%s:%s" % (ADAPTORS / "chaos_adaptor.py", kind)
    life.records.append(life.farm.folder / ("record-%d" % life.daemon))
    return {
        "record": str(life.records[-1]),
        "daemon": str(life.daemon),
        "on_start": life.work(**work),
        "on_stop": life.on_stop,
    }


def begin_start(life: Life, slow=(), **work) -> Command:
    life.counts["starts"] += 1
    init = prepare(life, **work)
    codes = life.codes_of(init["on_start"])
    if life.is_application and life.disk.is_full:
        codes |= {1}  # there is no room for the file that the application connects by
    return life.begin("start", "--init-data", json.dumps(init), codes=codes, work=init["on_start"], slow=slow)


def start(life: Life, **work) -> str:
    was = life.situation
    command = begin_start(life, **work)
    code = life.finish(command, TASK)
    if (b"replaced the file of a dead daemon" in command.err) != (was == DEAD):
        raise Fault("%s over a situation of %s says: %s" % (command, was, bytes(command.err)))
    life.situation = IDLE if code == 0 else DEAD
    if code:
        life.expect_nothing(what="after a failed start")
    return "%s exits %d" % (life.farm.adaptor.rpartition(":")[2], code)


def start_that_fails(life: Life) -> str:
    return start(life, fail=True)


def start_in_background(life: Life) -> str:
    rounds = life.chance.choice([1, 3, ENDLESS])
    slow = life.chance.choice([(), (), (1000, 0.01)])
    life.front = begin_start(life, slow, rounds=rounds, fail=life.chance.random() < 0.2)
    life.situation = LOADING
    if life.chance.random() < 0.8:
        life.front.wait_for(lambda: b"openjd_env" in life.front.out, BRIEF)
    life.moment()
    return "%s, %d rounds" % (life.front, rounds)


def start_without_a_file(life: Life) -> str:
    """In a temporary folder that nobody else knows: a start that fails, or whose command is killed, leaves none."""
    if life.disk.is_full:
        return None
    killed = life.chance.random() < 0.5
    init = prepare(life, rounds=ENDLESS) if killed else prepare(life, fail=True)
    words = ["daemon", "start", "--init-data", json.dumps(init)]
    command = life.begin(*words, codes=[-signal.SIGKILL if killed else 1], popen=life.farm.popen)
    if killed:
        life.moment(1.5)
        os.killpg(command.process.pid, signal.SIGKILL)
        life.lossy.add(life.daemon)
    code = life.finish(command, TASK)
    life.expect_nothing(what="after a start that %s" % ("was killed" if killed else "has failed"))
    for _ in turns(GRACE):
        left = life.disk.left()
        if not left:
            return "exits %d" % code
    raise Fault("a start that was not to be has left %s" % [str(path) for path in left])


def run_in_the_foreground(life: Life) -> str:
    """All below one command, which ends by itself, is canceled, or is killed."""
    if life.disk.is_full:
        return None
    way = life.chance.choice(["itself", signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    init = prepare(life, fail=False)
    work = life.work(fail=life.chance.random() < 0.2) if way == "itself" else render(life)
    codes = {int(bool(work.get("fail") or init["on_stop"].get("fail")))} if way == "itself" else {-way, 4} - {-15, -2}
    words = ["run", "--init-data", json.dumps(init), "--run-data", json.dumps(work)]
    command = life.begin(*words, codes=codes, work=work, popen=life.farm.popen)
    life.counts["runs"] += 1
    if way != "itself":
        command.wait_for(lambda: b"R:ready" in command.out, BRIEF)
        life.moment()
        if way == signal.SIGKILL:
            life.lossy.add(life.daemon)
            life.checkpoints = []
            os.killpg(command.process.pid, way)
        else:
            command.signal(way)
    code = life.finish(command, TASK)
    life.expect_nothing(what="after a run in the foreground")
    return "%s, exits %d, %s" % (way, code, work)


def start_over_a_living_daemon(life: Life) -> str:
    return "exits %d" % life.do("start", "--init-data", "{}", codes=[2])


def run(life: Life) -> str:
    work = life.work(fail=life.chance.random() < 0.2)
    slow = life.chance.choice([(), (), (500, 0.005), (4000, 0.02)])
    return "exits %d, %s" % (life.finish(life.begin_run(work, slow=slow, deaf=0.1), TASK), work)


def run_in_background(life: Life) -> str:
    kind = life.chance.choice([{}, {"rounds": 5}, {"rounds": ENDLESS}, {"rounds": ENDLESS}, {"ignore": True}])
    work = life.work(fail=life.chance.random() < 0.1, **kind)
    if kind.get("ignore"):
        work.update(lines=[[life.chance.choice(["print", "log"]), 30]], pause=0.1, alarm=0, garbage=False)
    life.front = life.begin_run(work, slow=life.chance.choice([(), (), (300, 0.005), (4000, 0.02)]), deaf=0.1)
    life.situation = BUSY
    if life.chance.random() < 0.8:
        life.front.wait_for(lambda: life.front.out, BRIEF)
    life.moment(0.6)
    return "%s, %s" % (life.front, work)


def render(life: Life) -> dict:
    """Work that ends by a cancel alone, and has something to save then."""
    chance, path = life.chance, life.saves / str(life.counts["renders"])
    life.counts["renders"] += 1
    life.checkpoints.append(path)
    wrapper = chance.choice(["none", "shell", "shell", "session", "python"])
    how = [wrapper, str(path), chance.random() < 0.3, chance.random() < 0.5]
    return {"lines": [], "late": chance.choice([0, 20]), "alarm": chance.choice([0, 0.1]), "render": how}


def run_behind_a_wrapper(life: Life) -> str:
    """A renderer that takes some time to end, and stops itself before in some tasks: it must have that time."""
    life.front = life.begin_run(render(life))
    life.situation = BUSY
    if life.chance.random() < 0.8:
        life.front.wait_for(lambda: b"R:ready" in life.front.out, BRIEF)
    return "%s, %s" % (life.front, life.front.work)


def run_a_flood_that_nobody_takes(life: Life) -> str:
    """More than the keeper has in memory, so that its file fills what the disk has left."""
    work = {"lines": [["print", life.chance.randint(4000, 7000)]], "pad": 2000, "pause": 0.0001}
    life.front = life.begin_run(work)
    life.situation = BUSY
    life.front.wait_for(lambda: life.front.out, BRIEF)
    life.front.pause()
    if life.disk.is_own and life.chance.random() < 0.6:
        life.front.wait_for(lambda: life.disk.used > 0, 3)
        fill_the_disk(life)
        life.moment(0.5)
    return "%s, disk %s" % (life.front, "full" if life.disk.is_full else "not full")


def run_beside_what_goes_on(life: Life) -> str:
    """A second run, or one without a daemon."""
    front, codes = life.front, {NONE: {3}, DEAD: {3}, LOADING: {2, 3}, BUSY: {2}}[life.situation]
    if not front:
        return "exits %d" % life.do("run", "--run-data", "{}", codes=codes)
    work = life.work()
    second = life.begin_run(work, codes)
    if front.out and not front.codes:
        second.codes = codes
    elif not front.out and front.word.startswith("run"):
        front.codes.add(2)  # the second may have been faster
    code = second.wait(TASK)
    ended = "" if code in (2, 3) else life.finish_front() + ", "
    return ended + "%s exits %d" % (second, life.finish(second, BRIEF))


def wait_for_the_front(life: Life) -> str:
    return life.finish_front() if life.codes_of(life.front.work) else None


def cancel_by_signal(life: Life) -> str:
    front, info = life.front, life.farm.folder / "cancel_info.json"
    if life.chance.random() < 0.5:
        end = time.time() + (1 if front.work.get("ignore") else 5)
        info.write_text(json.dumps({"NotifyEnd": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end + 1))}))
        front.expendable = True
    for _ in range(life.chance.choice([1, 1, 2])):
        # Without output it may not have its handlers yet.
        front.codes |= {4} if front.out else {4, -signal.SIGTERM}
        front.signal(signal.SIGTERM)
    ended = life.finish_front()
    if info.exists():
        info.unlink()
    return ended


def cancel_by_command(life: Life) -> str:
    codes = {NONE: [3], DEAD: [3], LOADING: [0, 3]}.get(life.situation, [0])
    hurry = life.chance.random() < 0.5 and life.situation == BUSY and bool(life.front.work.get("ignore"))
    command = life.begin("cancel", *(["--timeout", "1"] if hurry else []), codes=codes, deaf=0.2)
    code = life.finish(command, BRIEF)
    if life.front and b"is being canceled" in command.out:
        life.front.codes.add(4)
        life.front.expendable = hurry
        if life.front.out:  # otherwise it may be the task of a gone one, which it waits for
            return life.finish_front()
    return "exits %d" % code


def cancel_by_a_closed_output(life: Life) -> str:
    life.front.codes |= {4} if life.front.out else {2, 4}  # it could not show what a dead daemon wrote last
    life.front.close_output()
    return life.finish_front()


def kill_the_front(life: Life) -> str:
    life.front.codes.add(-signal.SIGKILL)
    os.killpg(life.front.process.pid, signal.SIGKILL)
    life.counts["kills"] += 1
    return life.finish_front()


def kill(name: str):
    def step(life: Life) -> str:
        life.moment()
        pid = life.find(name)
        if pid is None:
            return None
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return "it has just ended"
        life.counts["kills"] += 1
        if name != "application":
            life.checkpoints = []
        if life.front:
            life.front.codes |= {1} if life.front.out else {1, 3}  # it may still have waited for another one's task
        if name == "application":
            life.application_killed = True
            return str(pid)
        if name == "worker":
            life.lossy_forwards.add(life.daemon)
        else:
            life.lossy.add(life.daemon)
        what = "after SIGKILL of the %s" % name
        ended, was = "", life.situation
        if life.front:  # who keeps its output for it waits for it
            life.expect_nothing({life.find("guardian"), life.find("keeper")}, what)
            ended = ", " + life.finish_front(GRACE)
        life.situation = life.after(was)
        life.expect_nothing(what=what)
        return str(pid) + ended

    step.__name__ = "kill_the_" + name
    return step


def kill_guardian_and_keeper(life: Life) -> str:
    """At one moment, as ``killall -9 python`` does; perhaps beside a worker that cannot do anything itself then."""
    life.moment()
    victims = [life.find("guardian"), life.find("keeper")]
    worker = life.find("worker")
    if not all([*victims, worker]):
        return None
    hangs = life.chance.random() < 0.4
    for number, pids in ((signal.SIGSTOP, [*victims, *[worker] * hangs]), (signal.SIGKILL, victims)):
        for pid in pids:
            os.kill(pid, number)
    life.counts["kills"] += 2
    life.lossy.add(life.daemon)
    life.checkpoints = []
    ended, was = "", life.situation
    if life.front:
        life.front.codes |= {1} if life.front.out else {1, 3}
        ended = ", " + life.finish_front(GRACE)
    life.situation = life.after(was)
    if hangs:
        code = life.do("stop")
        ended += ", stop exits %d" % code
    for _ in turns(GRACE):
        for pid in life.pids():
            if "os.setsid()" in words_of(pid):  # what has left its session and its parents is nobody's now
                os.kill(pid, signal.SIGKILL)
        if not life.pids():
            break
    life.expect_nothing(what="after SIGKILL of guardian and keeper at once")
    if hangs:
        life.check("after the stop")
    return "%s%s%s" % (victims, ", the worker hangs" if hangs else "", ended)


def pause_the_front(life: Life) -> str:
    if life.front.paused:
        return None
    life.front.pause()
    return str(life.front)


def resume_the_front(life: Life) -> str:
    if not life.front.paused:
        return None
    life.front.resume()
    return str(life.front)


def fill_the_disk(life: Life) -> str:
    if not life.disk.is_own:
        return None
    life.disk.fill()
    life.lossy_disk.add(life.daemon)
    if life.situation == LOADING and life.is_application:
        life.front.codes.add(1)  # there may be no room for the file that the application connects by
    return "full"


def free_the_disk(life: Life) -> str:
    if not life.disk.is_full:
        return None
    life.disk.free()
    return "free"


def status(life: Life) -> str:
    codes = {NONE: [3], DEAD: [3], LOADING: [0, 3]}.get(life.situation, [0])
    return "exits %d" % life.do("status", codes=codes, deaf=0.3)


def remove_the_file(life: Life) -> str:
    life.farm.file.unlink()
    life.lossy.add(life.daemon)  # what nobody has read goes with it
    if life.front:
        life.front.codes |= {1, 4} if life.front.out else {1, 3, 4}
        life.finish_front()
    life.situation = NONE
    life.expect_nothing(what="without its connection file", bound=STOP)
    return "it has ended"


def stop(life: Life) -> str:
    """Once, twice at once, again after a killed one, or with a kill of somebody meanwhile."""
    front = life.front
    way = life.chance.choice(["once", "once", "once", "twice", "killed", "victim", "guardian stopped"])
    timeout = life.chance.choice([20, 20, 1])
    way = "once" if way in life.without else way
    if timeout == 1:
        life.checkpoints = []
    if way == "guardian stopped":
        os.kill(life.find("guardian") or os.getpid(), signal.SIGSTOP if life.find("guardian") else 0)
    if life.situation == LOADING:
        if front.paused:
            front.resume()  # one that has not made its file yet is nothing that a stop could find
        front.wait_for(lambda: b"openjd_env" in front.out, BRIEF)
    codes = {0} if life.situation in (NONE, DEAD) else life.codes_of(life.on_stop)
    if way in ("killed", "victim") or timeout == 1 or life.situation == LOADING:
        codes = codes | {0, 1}
    stops = [life.begin("stop", "--timeout", str(timeout), codes=codes, deaf=0.2)]
    if front:
        front.codes |= {4} if front.out else {3, 4}
        front.codes |= {1} if front.paused or front.slow or timeout == 1 else set()
        front.cut = front.paused or bool(front.slow)  # a front that takes nothing for five seconds is not waited for
        front.expendable = True
        if front.paused and life.chance.random() < 0.7:
            life.moment()
            front.resume()
    if way == "twice":
        stops[0].codes.add(0)  # the slower one may find that the other has removed everything
        stops.append(life.begin("stop", codes=codes | {0}))
    elif way == "killed":
        life.moment()
        stops[0].codes.add(-signal.SIGKILL)
        stops[0].signal(signal.SIGKILL)
        stops.append(life.begin("stop", codes=codes))
    elif way == "victim":
        life.moment()
        victim = life.chance.choice(["guardian", "keeper", "worker"])
        way = "%s killed, %s" % (victim, kill_meanwhile(life, victim))
    for command in stops:
        command.word += ", " + way
        command.wait(STOP)
    ended = ""
    if front:
        life.situation, life.front = NONE, None
        if front.paused:
            front.resume()
        ended = ", %s ended with %d" % (front, life.finish(front, BRIEF))
    exits = [life.finish(command, BRIEF) for command in stops]
    if {4, -signal.SIGTERM} & {*exits}:  # it was signalled, as nobody read its messages
        exits.append(life.do("stop", codes=codes | {0}))
    life.check("after %s, exits %s," % (stops[0], exits))
    return "%s, exits %s%s" % (way, exits, ended)


def kill_meanwhile(life: Life, name: str) -> str:
    pid = life.find(name)
    try:
        os.kill(pid or 0, signal.SIGKILL if pid else 0)
    except ProcessLookupError:
        return "which had just ended"
    if pid:
        life.counts["kills"] += 1
        life.lossy.add(life.daemon)
        life.checkpoints = []
        if life.front:
            life.front.codes |= {1} if life.front.out else {1, 3}
    return "pid %s" % pid


#: Step, weight, and the situations that it fits.
STEPS = (
    (start, 8, (NONE, DEAD)),
    (start_that_fails, 2, (NONE, DEAD)),
    (start_in_background, 5, (NONE, DEAD)),
    (start_without_a_file, 2, (NONE,)),
    (start_over_a_living_daemon, 1, (IDLE, BUSY)),
    (run_in_the_foreground, 3, (NONE, DEAD)),
    (run, 8, (IDLE,)),
    (run_in_background, 14, (IDLE,)),
    (run_behind_a_wrapper, 5, (IDLE,)),
    (run_a_flood_that_nobody_takes, 1.5, (IDLE,)),
    (run_beside_what_goes_on, 2, (NONE, DEAD, LOADING, BUSY)),
    (wait_for_the_front, 2, (LOADING, BUSY)),
    (cancel_by_signal, 3, (LOADING, BUSY)),
    (cancel_by_command, 1, ANY),
    (cancel_by_a_closed_output, 2, (LOADING, BUSY)),
    (kill_the_front, 3, (LOADING, BUSY)),
    (kill("guardian"), 1, (LOADING, IDLE, BUSY)),
    (kill("keeper"), 1, (LOADING, IDLE, BUSY)),
    (kill("worker"), 1, (LOADING, IDLE, BUSY)),
    (kill("application"), 1, (LOADING, IDLE, BUSY)),
    (kill_guardian_and_keeper, 1, (LOADING, IDLE, BUSY)),
    (pause_the_front, 1, (LOADING, BUSY)),
    (resume_the_front, 1, (LOADING, BUSY)),
    (fill_the_disk, 0.5, ANY),
    (free_the_disk, 1, ANY),
    (status, 1, ANY),
    (remove_the_file, 1, (IDLE, BUSY)),
    (stop, 2, ANY),
)


def play(steps: int, seed: int, log, without=frozenset()) -> str:
    """A history of so many steps, without those steps and parts of work; returns the summary. Raises :class:`Fault`."""
    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    disk, counts, began = Disk(base / "tmp"), Counter(), time.monotonic()
    if not disk.is_own:
        log("no file system of its own can be mounted here: full disks are left out")
    life, lives = None, 0
    try:
        for number in range(1, steps + 1):
            chance = random.Random("%d %d" % (seed, number))
            if life is None or life.ended:
                lives += 1
                life = Life(base / ("life-%d" % lives), disk, counts, without)
            life.chance, situation, began_step = chance, life.situation, time.monotonic()
            table = [row for row in STEPS if situation in row[2] and row[0].__name__ not in without]
            fitting, weights = [step for step, _, _ in table], [weight for _, weight, _ in table]
            outcome = None
            while outcome is None:
                step = stop if number == steps else chance.choices(fitting, weights)[0]
                name = "%4d life %d, %s: %s" % (number, lives, situation, step.__name__)
                try:
                    outcome = step(life)
                except Exception:
                    log(name + ": FAULT, while there lived")
                    for pid in life.farm.pids():
                        log("     %d below %d: %s" % (pid, parent_of(pid), words_of(pid)))
                    raise
            counts[step] += 1
            log("%s: %s (%.2f s)" % (name, outcome, time.monotonic() - began_step))
            if life.ended:
                disk.free()
                life.clear()
        log(", ".join("%s %d" % (step.__name__, counts[step]) for step, _, _ in STEPS if counts[step]))
        line = "{steps} steps, {starts} starts, {runs} runs, {kills} kills, {lines} lines, 0 faults, {seconds:.0f} s"
        return (line + " (seed {seed})").format(
            steps=steps, seed=seed, seconds=time.monotonic() - began, **{name: counts[name] for name in NAMES}
        )
    finally:
        if life and not life.ended:
            life.clear()
        disk.close()
        shutil.rmtree(str(base), ignore_errors=True)


NAMES = ("starts", "runs", "kills", "lines")


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Play a random history.")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--without", metavar="NAME", nargs="+", default=(), help="leave out steps and parts of work")
    parser.add_argument("--verbose", action="store_true", help="show each step as it ends")
    options = parser.parse_args(arguments)
    history = []

    def log(line: str) -> None:
        history.append(line)
        if options.verbose:
            print(line, flush=True)

    try:
        print(play(options.steps, options.seed, log, frozenset(options.without)), flush=True)
    except Exception as error:
        print("\n".join(history[-25:]))
        if not isinstance(error, Fault):
            import traceback

            traceback.print_exc()
        print("FAULT: %s" % error)
        print("again: python -m tests.chaos --steps %d --seed %d" % (options.steps, options.seed), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
