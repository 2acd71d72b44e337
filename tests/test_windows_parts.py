"""What of the modules for Windows is not a system call: it is the same everywhere, and so tested everywhere."""

from __future__ import annotations

import os
import re
import threading

import pytest

try:
    from ctypes import wintypes  # noqa: F401
except ValueError:  # before Python 3.9
    pytest.skip("ctypes.wintypes of this Python is for Windows alone", allow_module_level=True)

from openjd_adapt.system import interpreter, windows, windows_processes

from .conftest import ROOT

pytestmark = pytest.mark.windows_core

ME = "S-1-5-21-1-2-3-1001"


@pytest.mark.parametrize(
    "sddl, complaint",
    [
        ("O:%sD:P(A;;FA;;;SY)(A;;FA;;;%s)" % (ME, ME), ""),
        ("O:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;%s)" % ME, ""),
        ("O:%sD:PAI(A;OICI;FA;;;%s)" % (ME, ME), ""),
        ("O:%sD:(D;;FA;;;WD)(A;;FA;;;%s)" % (ME, ME), ""),
        ("O:S-1-5-21-1-2-3-1002D:P(A;;FA;;;%s)" % ME, "belongs to another user (S-1-5-21-1-2-3-1002)"),
        ("O:%sD:P(A;;FA;;;%s)(A;;FR;;;WD)" % (ME, ME), "others (WD) may read it"),
        ("O:%sD:AI(A;ID;FA;;;%s)(A;ID;0x1200a9;;;BU)" % (ME, ME), "others (BU) may read it"),
        ("O:%sD:NO_ACCESS_CONTROL" % ME, "everybody may read it, as it has no access list"),
        ("O:%s" % ME, "everybody may read it, as it has no access list"),
    ],
)
def test_a_file_is_private_if_it_is_its_users_and_lets_in_nobody_else_but_the_system(sddl, complaint):
    assert windows.why_not_private(sddl, ME) == complaint


@pytest.mark.parametrize(
    "text, path",
    [
        ("C:\\a b\\c.json", "C:\\a b\\c.json"),
        ("/C:/a b/c.json", "C:/a b/c.json"),
        ("\\C:\\a", "C:\\a"),
        ("\\\\server\\share\\a", "\\\\server\\share\\a"),
        ("//server/share/a", "//server/share/a"),
        ("\\\\?\\C:\\a", "\\\\?\\C:\\a"),
        ("relative\\a", "relative\\a"),
    ],
)
def test_a_path_behind_file_may_have_a_slash_before_its_drive(text, path):
    assert windows.path_of_uri(text) == path


@pytest.mark.parametrize("argument", ["50%", 'say "x"', "a&b", "a|b", "a<b", "a>b", "^", "!x!", "two\nlines"])
def test_a_batch_file_gets_no_argument_that_its_interpreter_would_read(argument):
    for name in ("tool.bat", "TOOL.CMD", "C:\\tools\\tool.cmd"):
        with pytest.raises(ValueError, match="a batch file cannot be given"):
            windows_processes.prepare_command([name, "plain", argument], None)
    assert windows_processes.prepare_command(["tool.exe", argument], None) == ["tool.exe", argument]
    assert windows_processes.prepare_command(["tool.bat", "a b", "C:\\x"], None) == ["tool.bat", "a b", "C:\\x"]


def test_the_longest_command_line_has_32766_characters():
    fits = ["tool.exe", "x" * (windows_processes.COMMAND_LIMIT - len("tool.exe "))]
    assert windows_processes.prepare_command(fits, None) == fits
    with pytest.raises(ValueError, match="its command line has 32767 characters; Windows takes 32766"):
        windows_processes.prepare_command([fits[0], fits[1] + "x"], None)


def test_a_daemon_listens_on_a_port_of_this_host_alone():
    endpoint, listener = windows.Endpoint.listen("draft", "folder")
    listener.listen(1)
    assert listener.getsockname()[0] == "127.0.0.1"
    connection = windows.Endpoint(endpoint.text, "folder").connect()
    other, _ = listener.accept()
    connection.sendall(b"x")
    assert other.recv(1) == b"x"
    for one in (connection, other, listener):
        one.close()
    with pytest.raises(OSError):
        endpoint.connect()


@pytest.mark.parametrize("text", ["0.0.0.0:1", "10.0.0.1:1", "localhost:1", "127.0.0.1", "127.0.0.1:x", ""])
def test_an_address_elsewhere_is_none(text):
    with pytest.raises(ValueError):
        windows.Endpoint(text, "folder")


def test_bytes_are_read_at_a_place(tmp_path):
    descriptor = os.open(str(tmp_path / "file"), os.O_RDWR | os.O_CREAT)
    windows.write_all(descriptor, b"heLLo")
    assert windows.read_at(descriptor, 100, 1) == b"eLLo"
    os.close(descriptor)


def test_a_wait_tells_what_is_ready_and_ends_with_its_time():
    bell = windows.Bell()
    assert windows.wait_for({bell.fileno(): windows.READ}, 0) == {}
    assert windows.wait_for({bell.fileno(): windows.READ}, -1) == windows.wait_for({}, -1) == {}  # which is over
    assert windows.wait_for({bell.fileno(): windows.READ | windows.WRITE}, 0) == {bell.fileno(): windows.WRITE}
    bell.ring(b"x")
    assert windows.wait_for({bell.fileno(): windows.READ}, 5) == {bell.fileno(): windows.READ}
    assert windows.wait_for({}, 0.01) == {}
    assert bell.heard() == b"x"
    bell.close()


@pytest.mark.parametrize(
    "path, form",
    [
        ("C:\\short\\a.json", "C:\\short\\a.json"),
        ("C:\\" + "a" * 200, "\\\\?\\C:\\" + "a" * 200),
        ("C:/" + "a" * 200 + "/../b/" + "c" * 200, "\\\\?\\C:\\b\\" + "c" * 200),
        ("\\\\host\\share\\" + "a" * 200, "\\\\?\\UNC\\host\\share\\" + "a" * 200),
        ("\\\\?\\C:\\" + "a" * 200, "\\\\?\\C:\\" + "a" * 200),
        ("\\\\?\\UNC\\host\\share\\" + "a" * 200, "\\\\?\\UNC\\host\\share\\" + "a" * 200),
    ],
)
def test_a_long_path_is_given_the_form_without_a_limit(path, form):
    assert interpreter.unlimited(path) == form


@pytest.fixture
def _reader_stays(monkeypatch):
    monkeypatch.setattr(windows.StandardStream, "_watch_reader", lambda self, wakeup: None)


@pytest.mark.usefixtures("_reader_stays")
def test_standard_output_is_written_in_order_and_counted_when_it_is_out(monkeypatch):
    written, gate = [], threading.Semaphore(0)

    def write(descriptor, data):
        assert descriptor == 1
        gate.acquire()
        written.append(bytes(data[:3]))
        return 3

    monkeypatch.setattr(windows.os, "write", write)
    out = windows.StandardStream(1, windows.Bell())
    view = memoryview(b"abcdef")
    with pytest.raises(BlockingIOError):
        out.write(view)
    with pytest.raises(BlockingIOError):
        out.write(view)
    gate.release()
    gate.release()
    assert windows.wait_for({out.fileno(): out.INTEREST}, 10)
    assert out.write(view) == 6
    assert written == [b"abc", b"def"]


@pytest.mark.usefixtures("_reader_stays")
def test_standard_output_that_nobody_reads_is_an_error(monkeypatch):
    def write(descriptor, data):
        raise BrokenPipeError("nobody")

    monkeypatch.setattr(windows.os, "write", write)
    out = windows.StandardStream(1, windows.Bell())
    with pytest.raises(BlockingIOError):
        out.write(memoryview(b"x"))
    with pytest.raises(BrokenPipeError):
        while windows.wait_for({out.fileno(): out.INTEREST}, 10):
            try:
                out.write(memoryview(b"x"))
            except BlockingIOError:
                continue


def test_what_only_a_real_windows_can_prove_is_listed_in_the_readme():
    marked = []
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        found = re.findall(
            r"^@pytest\.mark\.real_windows_only.*\n(?:@.*\n)*def test_(\w+)", path.read_text("utf-8"), re.M
        )
        marked += found
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert marked and [name for name in marked if "`…%s`" % name not in readme] == []
