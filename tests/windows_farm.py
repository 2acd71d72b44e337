"""A farm on Windows: what its commands start is in a job, which tells what is left and ends it."""

from __future__ import annotations

import ctypes
import subprocess
import time

import pytest

from openjd_adapt.system.windows_processes import Job

from .conftest import HANG_SECONDS, Farm

#: JobObjectBasicProcessIdList of the Win32 API.
_PROCESS_LIST = 3


class WindowsFarm(Farm):
    """Runs an adaptor's commands, each the leader of a process group."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self._job = Job()
        self.env["USERPROFILE"] = str(folder)

    def popen(self, *arguments: str, **options) -> subprocess.Popen:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=str(self.folder),
            env=self.env,
            bufsize=0,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            **options,
        )
        self._job.start(process)
        return process

    def finish(self, process: subprocess.Popen, timeout: float = HANG_SECONDS):
        try:
            return super().finish(process, timeout)
        except subprocess.TimeoutExpired:
            self._job.kill()
            process.communicate()
            raise

    def end_job(self) -> None:
        """End all that the commands have left, as a scheduler's job does with its owner."""
        self._job.kill()
        self._job = Job()

    def pids(self) -> list:
        """The living processes that the commands have started."""
        from openjd_adapt.system import win32

        class Ids(ctypes.Structure):
            _fields_ = [
                ("assigned", win32.DWORD),
                ("listed", win32.DWORD),
                ("ids", ctypes.c_size_t * 1024),
            ]

        ids = Ids()
        what = _PROCESS_LIST
        win32.QueryInformationJobObject(self._job._handle, what, ctypes.byref(ids), ctypes.sizeof(ids), None)
        return [int(pid) for pid in ids.ids[: ids.listed]]

    def wait_until_nothing_is_left(self, seconds: float = HANG_SECONDS) -> None:
        end = time.monotonic() + seconds
        while self.pids():
            if time.monotonic() > end:
                left = self.pids()
                self._job.kill()
                pytest.fail("left behind: %r" % left)
            time.sleep(0.02)
