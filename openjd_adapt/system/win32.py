"""The functions of Windows that the toolkit calls, by ctypes: each with its arguments, its result and its error.

What fails raises :class:`OSError` with its code.
Source: the documentation of the Windows API, under the names of the functions.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, Structure, byref, c_size_t, c_void_p, c_wchar_p, sizeof
from ctypes.wintypes import BOOL, DWORD, HANDLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LONGLONG, ULONGLONG = ctypes.c_longlong, ctypes.c_ulonglong

INVALID_HANDLE = c_void_p(-1).value

ERROR_LOCK_VIOLATION = 33

FilePipeLocalInformation = 24
FILE_PIPE_CLOSING_STATE = 4

PROCESS_QUERY_LIMITED_INFORMATION = 0x1000

JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000
JobObjectBasicAccountingInformation = 1
JobObjectExtendedLimitInformation = 9

GENERIC_READ = 0x80000000
GENERIC_WRITE = 0x40000000
READ_CONTROL = 0x20000
FILE_SHARE_ALL = 0x7
CREATE_NEW = 1
OPEN_EXISTING = 3
FILE_FLAG_OPEN_REPARSE_POINT = 0x200000
FILE_ATTRIBUTE_NORMAL = 0x80
LOCKFILE_FAIL_IMMEDIATELY = 1
LOCKFILE_EXCLUSIVE_LOCK = 2

#: Stands for the token of this process (Windows 8).
CURRENT_PROCESS_TOKEN = -4
TokenUser = 1
SDDL_REVISION_1 = 1
OWNER_SECURITY_INFORMATION = 1
DACL_SECURITY_INFORMATION = 4
#: More than the longest access list and its owner need.
_DESCRIPTOR_BYTES = 128 * 1024

CTRL_BREAK_EVENT = 1


# Members that the toolkit neither sets nor reads are one array where they are of one type.


class BasicLimits(Structure):
    _fields_ = [
        ("TimeLimits", LONGLONG * 2),
        ("LimitFlags", DWORD),
        ("WorkingSetSizes", c_size_t * 2),
        ("ActiveProcessLimit", DWORD),
        ("Affinity", c_size_t),
        ("Classes", DWORD * 2),
    ]


class ExtendedLimits(Structure):
    _fields_ = [("BasicLimitInformation", BasicLimits), ("IoInfo", ULONGLONG * 6), ("Memory", c_size_t * 4)]


class Accounting(Structure):
    _fields_ = [("Times", LONGLONG * 4), ("Totals", DWORD * 2), ("ActiveProcesses", DWORD), ("Terminated", DWORD)]


class Overlapped(Structure):
    _fields_ = [("Internal", c_size_t * 2), ("Offset", DWORD), ("OffsetHigh", DWORD), ("hEvent", HANDLE)]


class PipeInformation(Structure):
    _fields_ = [("Configuration", DWORD * 8), ("NamedPipeState", DWORD), ("NamedPipeEnd", DWORD)]


class SecurityAttributes(Structure):
    _fields_ = [("nLength", DWORD), ("lpSecurityDescriptor", c_void_p), ("bInheritHandle", BOOL)]


#: Called by Windows on a thread of its own with the number of a console control event; true if it was handled.
HandlerRoutine: Any = getattr(ctypes, "WINFUNCTYPE", ctypes.CFUNCTYPE)(BOOL, DWORD)


def _fail(result: Any, function: Any, arguments: Any) -> Any:
    if not result or result == INVALID_HANDLE:
        raise ctypes.WinError(ctypes.get_last_error())  # type: ignore[attr-defined, unused-ignore]
    return result


def _declare(library: Any, name: str, result: Any, *arguments: Any, check: Any = _fail) -> Any:
    if library is None:
        return None
    function = getattr(library, name)
    function.argtypes = arguments
    function.restype = result
    if check:
        function.errcheck = check
    return function


def _load(name: str) -> Any:
    """A library; None on other systems, where tests import what stands above this module, and call none of these."""
    if sys.platform == "win32":
        return ctypes.WinDLL(name, use_last_error=True)
    return None


_kernel = _load("kernel32")
_security = _load("advapi32")

CloseHandle = _declare(_kernel, "CloseHandle", BOOL, HANDLE)
OpenProcess = _declare(_kernel, "OpenProcess", HANDLE, DWORD, BOOL, DWORD)
GetProcessTimes = _declare(_kernel, "GetProcessTimes", BOOL, HANDLE, *[POINTER(ULONGLONG)] * 4)

CreateJobObject = _declare(_kernel, "CreateJobObjectW", HANDLE, c_void_p, c_wchar_p)
SetInformationJobObject = _declare(_kernel, "SetInformationJobObject", BOOL, HANDLE, DWORD, c_void_p, DWORD)
QueryInformationJobObject = _declare(
    _kernel, "QueryInformationJobObject", BOOL, HANDLE, DWORD, c_void_p, DWORD, c_void_p
)
AssignProcessToJobObject = _declare(_kernel, "AssignProcessToJobObject", BOOL, HANDLE, HANDLE)
TerminateJobObject = _declare(_kernel, "TerminateJobObject", BOOL, HANDLE, DWORD)

CreateFile = _declare(_kernel, "CreateFileW", HANDLE, c_wchar_p, DWORD, DWORD, c_void_p, DWORD, DWORD, HANDLE)
CreateDirectory = _declare(_kernel, "CreateDirectoryW", BOOL, c_wchar_p, c_void_p)
LockFileEx = _declare(_kernel, "LockFileEx", BOOL, HANDLE, DWORD, DWORD, DWORD, DWORD, POINTER(Overlapped))
UnlockFileEx = _declare(_kernel, "UnlockFileEx", BOOL, HANDLE, DWORD, DWORD, DWORD, POINTER(Overlapped))
PeekNamedPipe = _declare(_kernel, "PeekNamedPipe", BOOL, HANDLE, c_void_p, DWORD, c_void_p, POINTER(DWORD), c_void_p)
ReadFile = _declare(_kernel, "ReadFile", BOOL, HANDLE, c_void_p, DWORD, POINTER(DWORD), c_void_p)

AttachConsole = _declare(_kernel, "AttachConsole", BOOL, DWORD)
FreeConsole = _declare(_kernel, "FreeConsole", BOOL, check=None)
GenerateConsoleCtrlEvent = _declare(_kernel, "GenerateConsoleCtrlEvent", BOOL, DWORD, DWORD)
SetConsoleCtrlHandler = _declare(_kernel, "SetConsoleCtrlHandler", BOOL, HandlerRoutine, BOOL)

_nt = _load("ntdll")
ResumeProcess = _declare(_nt, "NtResumeProcess", ctypes.c_long, HANDLE, check=None)
QueryInformationFile = _declare(
    _nt, "NtQueryInformationFile", ctypes.c_long, HANDLE, c_void_p, c_void_p, DWORD, DWORD, check=None
)

LocalFree = _declare(_kernel, "LocalFree", c_void_p, c_void_p, check=None)
GetTokenInformation = _declare(_security, "GetTokenInformation", BOOL, HANDLE, DWORD, c_void_p, DWORD, POINTER(DWORD))
ConvertSidToStringSid = _declare(_security, "ConvertSidToStringSidW", BOOL, c_void_p, c_void_p)
ConvertToDescriptor = _declare(
    _security, "ConvertStringSecurityDescriptorToSecurityDescriptorW", BOOL, c_wchar_p, DWORD, c_void_p, c_void_p
)
ConvertFromDescriptor = _declare(
    _security, "ConvertSecurityDescriptorToStringSecurityDescriptorW", BOOL, c_void_p, DWORD, DWORD, c_void_p, c_void_p
)
GetKernelObjectSecurity = _declare(
    _security, "GetKernelObjectSecurity", BOOL, HANDLE, DWORD, c_void_p, DWORD, POINTER(DWORD)
)


# What takes several calls


def text_at(pointer: c_void_p) -> str:
    """The text that a function has allocated, which is freed."""
    text = ctypes.wstring_at(pointer.value or 0)
    LocalFree(pointer)
    return text


def handle_of(descriptor: int) -> int:
    """The handle of an open file."""
    import msvcrt

    return int(msvcrt.get_osfhandle(descriptor))  # type: ignore[attr-defined, unused-ignore]


def has_reader(pipe: int) -> bool | None:
    """Whether the other end of an anonymous pipe, whose writing end this is, is open; None if it is not a pipe."""
    facts = PipeInformation()
    status = (c_size_t * 2)()  # IO_STATUS_BLOCK
    if QueryInformationFile(pipe, byref(status), byref(facts), sizeof(facts), FilePipeLocalInformation):
        return None
    return bool(facts.NamedPipeState != FILE_PIPE_CLOSING_STATE)


def user() -> str:
    """The SID of this process's user, as a text."""
    buffer = ctypes.create_string_buffer(256)
    GetTokenInformation(CURRENT_PROCESS_TOKEN, TokenUser, buffer, sizeof(buffer), byref(DWORD()))
    sid = ctypes.cast(buffer, POINTER(c_void_p))[0]
    text = c_void_p()
    ConvertSidToStringSid(sid, byref(text))
    return text_at(text)


def private() -> SecurityAttributes:
    """Security attributes that let in this user and SYSTEM alone; for files, and for folders and what lies in them."""
    descriptor = c_void_p()
    sddl = "D:P(A;OICI;FA;;;%s)(A;OICI;FA;;;SY)" % user()
    ConvertToDescriptor(sddl, SDDL_REVISION_1, byref(descriptor), None)
    return SecurityAttributes(sizeof(SecurityAttributes), descriptor, False)


def security_of(handle: int) -> str:
    """Owner and access list of an open file, as the text that Windows calls SDDL."""
    descriptor = ctypes.create_string_buffer(_DESCRIPTOR_BYTES)
    what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION
    GetKernelObjectSecurity(handle, what, descriptor, sizeof(descriptor), byref(DWORD()))
    text = c_void_p()
    ConvertFromDescriptor(descriptor, SDDL_REVISION_1, what, byref(text), None)
    return text_at(text)
