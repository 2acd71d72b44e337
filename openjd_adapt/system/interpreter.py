"""This Python and this package: how they are started again, where they lie, streams, files in archives, long paths."""

from __future__ import annotations

import atexit
import os
import sys

from ..errors import AdaptError, InputError, flush_streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any, NoReturn
else:
    import _signal as signal  # as in system.posix


#: The folder of the package: all that it has of its own is found from here.
PACKAGE = os.path.abspath(sys.modules[__name__.rsplit(".", 2)[0]].__path__[0])

#: How the names of programs begin that take a Python's options: its own, Maya's, Houdini's, Cinema 4D's, 3ds Max's.
_PYTHONS = ("python", "pypy", "mayapy", "hython", "c4dpy", "3dsmaxpy")

#: A path that is longer, in characters, is given the form that is not limited; Windows's own limit is 260, and some
#: names that the toolkit makes are longer than those that it is given.
_SHORT_PATH = 200


def long_path(path: str) -> str:
    """A path as it may be as long as the file system allows: only Windows limits some forms."""
    return path if sys.platform != "win32" else unlimited(path)


def unlimited(path: str) -> str:
    """On Windows, where it is long: ``\\\\?\\UNC\\host\\share\\a``. Source: "Maximum Path Length Limitation"."""
    import ntpath

    full = ntpath.abspath(path)
    if len(full) < _SHORT_PATH or full.startswith(("\\\\?\\", "\\\\.\\")):
        return path
    return "\\\\?\\UNC\\" + full[2:] if full.startswith("\\\\") else "\\\\?\\" + full


def ensure_standard_descriptors() -> None:
    """Open the null device where the caller left standard input, output or error closed, lest a socket takes its place.

    ``sys.stdout`` and ``sys.stderr`` are there afterwards, which Python leaves None for what is closed; on Windows they
    are UTF-8 with LF, whatever the code page says.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:  # Windows gives none of these away
                os.dup2(null, descriptor)
                os.close(null)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(descriptor, "w", encoding="utf-8", newline="\n", closefd=False))  # noqa: SIM115
        elif sys.platform == "win32" and hasattr(stream, "reconfigure") and not stream.closed:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def leave(code: int) -> NoReturn:
    """End the main module that calls this as Python ends it, without a quarter of the time: nothing is taken apart.

    Where something else than Python has started that, such as a profiler, it raises :class:`SystemExit`.
    """
    frame = sys._getframe(1).f_back
    while frame and frame.f_globals.get("__name__") == "runpy":
        frame = frame.f_back
    if frame or sys.flags.inspect or sys.platform == "win32":
        sys.exit(code)
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    finally:  # Python, too, only shows what fails there
        flush_streams()
        os._exit(code)


class signals_kept:
    """For ``with``: afterwards signals have the handlers, the mask and the wakeup descriptor that they had before."""

    def __enter__(self) -> None:
        self._handlers = list(map(signal.getsignal, range(1, signal.NSIG)))
        if sys.platform != "win32":
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            self._descriptor = signal.set_wakeup_fd(-1)
        except ValueError:  # a thread that is not the main one can change none of them
            self._handlers = []

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for number, handler in enumerate(self._handlers, 1):
            if handler is not None and handler != signal.getsignal(number):  # None: it is not one of Python's
                signal.signal(number, handler)
        if self._handlers:
            signal.set_wakeup_fd(self._descriptor)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def is_python(program: str | None = None) -> bool:
    """Whether ``program``, or ``sys.executable``, runs code: no frozen program, no application with a Python inside."""
    name = os.path.basename(program or sys.executable or "").lower()
    return not getattr(sys, "frozen", False) and name.startswith(_PYTHONS)


#: The options of Python's that :data:`sys.flags` tells of; ``-i`` is of who sits before it.
_LETTERS = (
    "bytes_warning=b debug=d dont_write_bytecode=B ignore_environment=E isolated=I no_site=S no_user_site=s optimize=O"
    " quiet=q safe_path=P verbose=v"
)


def flags() -> list[str]:
    """The options with which this interpreter was started; one that knows ASCII only could open no file of the data.

    As ``subprocess`` tells them, whose import costs ten milliseconds.
    """
    options = [option.split("=") for option in _LETTERS.split()]
    found = ["-" + letter * int(getattr(sys.flags, name)) for name, letter in options if getattr(sys.flags, name, 0)]
    found += ["-W" + option for option in sys.warnoptions]
    more: dict[str, Any] = {"utf8": True} if sys.getfilesystemencoding() == "ascii" else {}
    for name, value in {**sys._xoptions, **more}.items():
        found += ["-X", name if value is True else "%s=%s" % (name, value)]
    return found


def original_command(words: list[str], folder: str) -> tuple[list[str], list[str]]:
    """The command line of this process as it was given, whatever has become of ``sys.argv`` and of the current folder,
    which was ``folder``: the program, a Python with its options and ``-u``; and what it was to run, with arguments.

    ``words`` are left out where they stand at the end (where only some do, from the first option on, as data may be
    secret), and of a script what debugs or profiles it.
    """

    def full(path: str) -> str:
        return os.path.normpath(os.path.join(folder, path))

    main, frozen = sys.modules["__main__"], getattr(sys, "frozen", False)
    name = getattr(getattr(main, "__spec__", None), "name", "__main__")
    whole = list(getattr(sys, "orig_argv", ())) or _command_line()
    if not whole or not whole[0]:
        what = [sys.argv[0]] if name == "__main__" else ["-m", name]
        whole = [sys.executable, *([] if frozen else what), *sys.argv[1:]]
    same = 0
    while same < min(len(words), len(whole)) and words[-1 - same] == whole[-1 - same]:
        same += 1
    while 0 < same < len(words) and not words[-same].startswith("--"):
        same -= 1
    del whole[len(whole) - same :]
    if not is_python(whole[0]):
        program = sys.executable if frozen else whole[0]
        return [full(program) if os.path.dirname(program) else program], whole[1:]
    file = getattr(main, "__file__", None) if name == "__main__" else None
    files = [full(file)] if file else []
    if os.path.basename(file or "") == "__main__.py":
        files.append(os.path.dirname(files[0]))  # the folder or archive that was to run
    scripts = [place for place, word in enumerate(whole) if full(word) in files]
    others = [place for place, word in enumerate(whole) if word in ("-m", "-c")]
    place = [*scripts, *others, 1][0]
    if scripts:
        whole[place] = full(whole[place])
    return [sys.executable or whole[0], *flags(), "-u"], whole[place:]


def _command_line() -> list[str]:
    """What ``sys.orig_argv`` is from Python 3.10 on; empty where nothing tells."""
    if sys.platform == "win32":
        import ctypes  # here, as no command on another system, and none of a newer Python, needs it

        count = ctypes.c_int()
        whole = ctypes.WinDLL("kernel32").GetCommandLineW
        split = ctypes.WinDLL("shell32").CommandLineToArgvW
        whole.restype, split.restype = ctypes.c_wchar_p, ctypes.POINTER(ctypes.c_wchar_p)
        return [str(word) for word in split(ctypes.c_wchar_p(whole()), ctypes.byref(count))[: count.value]]
    try:
        with open("/proc/self/cmdline", "rb") as stream:
            return [os.fsdecode(word) for word in stream.read().split(b"\0")[:-1]]
    except OSError:
        return []


# What a process of the toolkit is, it knows by what it inherits, whatever its command line and the author's script say:
# a variable that names this start, and the descriptor that this speaks of.

WORKER, KEEPER, SESSION = "_worker", "_keeper", "_session"
_ROLE_VARIABLE = "OPENJD_ADAPT_START"
#: That of this process, once it has taken it.
role = ""


def as_role(name: str, descriptor: int | None = None, inherited: int = 0) -> dict[str, str]:
    """The variable for a process of this role, which gets ``descriptor`` as ``inherited``."""
    return {_ROLE_VARIABLE: name if descriptor is None else "%s %d %s" % (name, inherited, _mark(descriptor))}


def take_role() -> None:
    """Let :data:`role` be that of this process, which none of its children inherits; empty for a command.

    Raises :class:`AdaptError` in a process that is an adaptor's already, which goes on; :class:`InputError` in one that
    has the variable alone, or is of multiprocessing and only imports the script.
    """
    global role
    if role in (WORKER, KEEPER):
        raise AdaptError("EntryPoint.start() has begun in this process already, which is the adaptor's")
    if sys.modules.get("__mp_main__", sys.modules["__main__"]) is not sys.modules["__main__"]:
        raise InputError("multiprocessing imports this script: put EntryPoint.start() under if __name__ == '__main__'")
    name, _, proof = os.environ.pop(_ROLE_VARIABLE, "").partition(" ")
    descriptor, _, mark = proof.partition(" ")
    if proof and _mark(int(descriptor)) != mark:
        raise InputError(
            "EntryPoint.start() in a process that the adaptor's has started before its own EntryPoint.start(), or by a"
            " program that does not pass descriptor %s on; start adaptors after that, or let the program pass it on"
            % descriptor
        )
    role = name


def _mark(descriptor: int) -> str:
    """What tells a descriptor from others."""
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return ""
    return "%d-%d" % (facts.st_mode >> 12, facts.st_ino)


def environment() -> dict[str, str]:
    """What a process gets that runs this program again and may outlive this one: all but what is for this one alone.

    A one-file program of PyInstaller unpacks itself into a folder that goes when it ends, and what it starts of itself
    uses that folder, unless it is told to unpack itself again.
    """
    found = dict(os.environ)
    unpacked = getattr(sys, "_MEIPASS", None)
    if unpacked:
        found["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
        if "LD_LIBRARY_PATH" in found:
            places = [place for place in found["LD_LIBRARY_PATH"].split(os.pathsep) if place != unpacked]
            found["LD_LIBRARY_PATH"] = os.pathsep.join(places)
    return found


def can_be_fresh() -> bool:
    """Whether a new interpreter can run a part of this package: not of what is frozen, or deep in an archive."""
    return is_python() and os.path.exists(os.path.dirname(PACKAGE))


def fresh_command(module: str, title: str) -> list[str]:
    """The command of a new interpreter that calls ``serve`` of the daemon's ``module``, and has neither ``site`` nor
    anything of an author's. Its standard input says the arguments by ``marshal``, as a command line is not this user's
    alone; ``title`` is for whoever looks at that.

    The package is imported by its last name, so that the parents of a vendored copy are not. Nothing is imported from
    the current folder, and nothing but the package from the folder where it lies.
    """
    root, name = os.path.split(PACKAGE)
    return [sys.executable, *flags(), "-S", "-c", _FRESH % (ascii(root), name, name, module, module), title]


_FRESH = """import sys
sys.path = [place for place in sys.path if place]
import __future__, marshal, os
sys.path.insert(0, %s)
import %s
del sys.path[0]
from %s.daemon import %s
arguments = marshal.loads(os.read(0, 65536))
os.dup2(1, 0)
%s.serve(**arguments)
os._exit(0)
"""


# Files beside the package or an adaptor, also where these lie in a zip archive, as ``python -m zipapp`` makes it.


def is_there(path: str) -> bool:
    """Whether there is such a file, in the file system or in an archive of it.

    Raises :class:`OSError` where that cannot be told: what nobody may look at is not what is not there.
    """
    try:
        os.stat(long_path(path))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        try:
            read_bytes(path)
        except (OSError, ValueError):
            return False
    return True


def read_bytes(path: str, limit: int = -1) -> bytes:
    """What a file holds, at most ``limit`` bytes of it. Raises :class:`OSError` as ``open`` does."""
    try:
        with open(long_path(path), "rb") as stream:
            return stream.read(limit)
    except OSError as error:
        import zipimport

        place = os.path.abspath(path)
        try:
            return zipimport.zipimporter(place).get_data(place)  # which finds the archive that the path leads into
        except zipimport.ZipImportError:
            raise error from None
