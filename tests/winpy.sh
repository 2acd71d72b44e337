#!/bin/bash
# winpy.sh DEST [X.Y ...]   real Windows CPython(s) under Debian 12's Wine in DEST.  Idempotent, quiet.
# DEST/winpy [-X.Y] args...   runs one.  Needs: root (apt), pip (any Python 3).  Hosts: Debian mirror + PyPI only.
set -euo pipefail
D=${1:?usage: winpy.sh DEST [X.Y ...]}; shift || true; VERS=${*:-3.11}; VERS=($VERS)
mkdir -p "$D"; D=$(cd "$D" && pwd); PANDA=1.10.15
export DEBIAN_FRONTEND=noninteractive WINEPREFIX=$D/prefix WINEARCH=win64 WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml,winemenubuilder.exe,winedbg.exe='
unset DISPLAY WAYLAND_DISPLAY PYTHONHOME PYTHONPATH || true
WINE=/usr/lib/wine/wine64; WS=/usr/lib/wine/wineserver64; CC=x86_64-w64-mingw32-gcc
PY=$(command -v python3); quiet() { "$@" </dev/null >>"$D/setup.log" 2>&1 || { rc=$?; echo "winpy.sh: failed ($rc): $* (see $D/setup.log)" >&2; exit $rc; }; }

# 1. packages
need=(); [ -x $WINE ] || need+=(wine wine64); command -v $CC >/dev/null || need+=(gcc-mingw-w64-x86-64-win32)
if [ ${#need[@]} -gt 0 ]; then
  quiet apt-get -qq -o DPkg::Lock::Timeout=600 update
  quiet apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${need[@]}"
fi

# 2. Wine prefix: no display needed; Windows 10 (a fresh 8.0 prefix says Windows 7)
if [ ! -e "$WINEPREFIX/.ready" ]; then
  rm -rf "$WINEPREFIX"; quiet timeout 300 $WINE wineboot -i
  quiet timeout 120 $WINE winecfg /v win10
  quiet timeout 120 $WS -w; touch "$WINEPREFIX/.ready"
fi

# 3. interpreters
cat >"$D/launcher.c" <<'LAUNCHER'
/* python.exe for Wine: LoadLibrary(pythonXY.dll) + Py_Main.
 * WINPY_TRAMP=1  re-run self on a fresh headless console (CREATE_NO_WINDOW); Wine gives
 *                a program started on pipes no console at all, Windows always does.
 * WINPY_SHIM=1   repair what Wine's console control events lack: CTRL_BREAK delivery and
 *                the 0xC000013A exit code of an unhandled event.  Inherited by children. */
#include <windows.h>
#include <tlhelp32.h>
#include <winternl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef BOOL (WINAPI *gcce_t)(DWORD, DWORD);
typedef NTSTATUS (NTAPI *qip_t)(HANDLE, ULONG, PVOID, ULONG, PULONG);
static gcce_t orig_gcce;

/* Registered first, so called last.  Wine's ucrtbase turns only Ctrl-C into a C signal. */
static BOOL WINAPI last_handler(DWORD ev) {
  typedef void (*sig_t)(int); sig_t (*sg)(int, sig_t), h;
  if (ev == CTRL_BREAK_EVENT && (sg = (sig_t (*)(int, sig_t))GetProcAddress(GetModuleHandleA("ucrtbase"), "signal"))) {
    h = sg(21, (sig_t)0);                                                 /* SIGBREAK; back to SIG_DFL, as ucrt does */
    if (h == (sig_t)1) { sg(21, h); return TRUE; }                        /* SIG_IGN */
    if (h && h != (sig_t)-1) { h(21); return TRUE; }
  }
  if (ev == CTRL_C_EVENT || ev == CTRL_BREAK_EVENT) ExitProcess(0xC000013A);
  return FALSE;
}

static BOOL break_one(DWORD pid) {
  BYTE *peb, *params; DWORD fl = 0, z; HANDLE t; PROCESS_BASIC_INFORMATION pbi; BOOL ok = FALSE;
  qip_t qip = (qip_t)GetProcAddress(GetModuleHandleA("ntdll"), "NtQueryInformationProcess");
  LPTHREAD_START_ROUTINE cr = (LPTHREAD_START_ROUTINE)GetProcAddress(GetModuleHandleA("kernelbase"), "CtrlRoutine");
  HANDLE p = OpenProcess(PROCESS_ALL_ACCESS, FALSE, pid);
  if (!p || !cr) return FALSE;
  if (!qip(p, 0, &pbi, sizeof pbi, NULL)) {
    peb = (BYTE *)pbi.PebBaseAddress;
    if (ReadProcessMemory(p, peb + 0x20, &params, 8, NULL) && ReadProcessMemory(p, params + 0x18, &fl, 4, NULL)) {
      /* ConsoleFlags bit 0 = "ignore Ctrl-C"; Wine wrongly lets it mask Ctrl-Break too */
      if (fl & 1) { z = fl & ~1u; WriteProcessMemory(p, params + 0x18, &z, 4, NULL); }
      t = CreateRemoteThread(p, NULL, 0, cr, (void *)(ULONG_PTR)CTRL_BREAK_EVENT, 0, NULL);
      if (t) { ok = TRUE; WaitForSingleObject(t, 300); CloseHandle(t); }
      if (fl & 1) WriteProcessMemory(p, params + 0x18, &fl, 4, NULL);
    }
  }
  CloseHandle(p);
  return ok;
}

static BOOL WINAPI my_gcce(DWORD ev, DWORD group) {
  DWORD list[256], n, i, j, np = 0; static DWORD pid[4096], par[4096]; char in[256] = {0}; BOOL more = TRUE, any = FALSE;
  if (ev != CTRL_BREAK_EVENT) return orig_gcce(ev, group);
  n = GetConsoleProcessList(list, 256);
  if (!n || n > 256) { SetLastError(ERROR_INVALID_HANDLE); return FALSE; }
  for (i = 0; i < n; i++) { in[i] = !group || list[i] == group; any |= in[i]; }
  if (!any) { SetLastError(ERROR_INVALID_PARAMETER); return FALSE; }
  if (group) {  /* Wine shows no group ids: take the leader and its descendants on this console */
    HANDLE s = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0); PROCESSENTRY32W e; e.dwSize = sizeof e;
    if (Process32FirstW(s, &e)) do { pid[np] = e.th32ProcessID; par[np++] = e.th32ParentProcessID; } while (np < 4096 && Process32NextW(s, &e));
    CloseHandle(s);
    while (more) {
      more = FALSE;
      for (i = 0; i < n; i++) if (!in[i]) for (j = 0; j < np; j++) if (pid[j] == list[i]) {
        DWORD k; for (k = 0; k < n; k++) if (in[k] && list[k] == par[j]) { in[i] = 1; more = TRUE; }
      }
    }
  }
  for (any = FALSE, i = 0; i < n; i++) if (in[i] && list[i] != GetCurrentProcessId()) any |= break_one(list[i]);
  for (i = 0; i < n; i++) if (in[i] && list[i] == GetCurrentProcessId()) any |= break_one(list[i]);
  return any;
}

static void shim(void) {
  static const BYTE hot[8] = {0x48, 0x8d, 0xa4, 0x24, 0, 0, 0, 0};      /* lea 0(%rsp),%rsp */
  BYTE *f = (BYTE *)GetProcAddress(GetModuleHandleA("kernelbase"), "GenerateConsoleCtrlEvent"), *th = NULL;
  DWORD old; void *me = (void *)my_gcce; ULONG_PTR a;
  SetConsoleCtrlHandler(last_handler, TRUE);
  if (!f || memcmp(f, hot, 8)) { fprintf(stderr, "winpy: GenerateConsoleCtrlEvent not hotpatchable\n"); return; }
  for (a = ((ULONG_PTR)f & ~0xffffull) - 0x10000; !th && a > (ULONG_PTR)f - 0x70000000; a -= 0x10000)
    th = VirtualAlloc((void *)a, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE);
  if (!th) return;
  memcpy(th, "\xff\x25\0\0\0\0", 6); memcpy(th + 6, &me, 8);              /* jmp *0(%rip) */
  orig_gcce = (gcce_t)(f + 8);
  VirtualProtect(f, 8, PAGE_EXECUTE_READWRITE, &old);
  *(INT32 *)(f + 1) = (INT32)(th - (f + 5)); f[0] = 0xe9;
  VirtualProtect(f, 8, old, &old);
}

static DWORD WINAPI watch(void *outer) { WaitForSingleObject(outer, INFINITE); TerminateProcess(GetCurrentProcess(), 1); return 0; }

static int tramp(void) {
  STARTUPINFOW si; PROCESS_INFORMATION pi; DWORD rc = 127; wchar_t self[4096]; char num[16];
  sprintf(num, "%lu", GetCurrentProcessId()); SetEnvironmentVariableA("WINPY_OUTER", num);
  ZeroMemory(&si, sizeof si); si.cb = sizeof si; si.dwFlags = STARTF_USESTDHANDLES;
  si.hStdInput = GetStdHandle(STD_INPUT_HANDLE); si.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE); si.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  SetHandleInformation(si.hStdInput, 1, 1); SetHandleInformation(si.hStdOutput, 1, 1); SetHandleInformation(si.hStdError, 1, 1);
  GetModuleFileNameW(NULL, self, 4096);
  if (!CreateProcessW(self, GetCommandLineW(), NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &si, &pi)) return 127;
  WaitForSingleObject(pi.hProcess, INFINITE); GetExitCodeProcess(pi.hProcess, &rc);
  return (int)rc;
}

int wmain(int argc, wchar_t **argv) {
  HMODULE h; int (*py_main)(int, wchar_t **); char v[16];
  if (GetEnvironmentVariableA("WINPY_TRAMP", v, sizeof v)) { SetEnvironmentVariableA("WINPY_TRAMP", NULL); return tramp(); }
  if (GetEnvironmentVariableA("WINPY_OUTER", v, sizeof v)) {                 /* killed from outside: go too */
    HANDLE o = OpenProcess(SYNCHRONIZE, FALSE, strtoul(v, NULL, 10));
    SetEnvironmentVariableA("WINPY_OUTER", NULL); CreateThread(NULL, 0, watch, o, 0, NULL);
  }
  if (GetEnvironmentVariableA("WINPY_SHIM", v, sizeof v)) shim();
  if (!(h = LoadLibraryW(PYDLL))) { fwprintf(stderr, L"cannot load %ls: error %lu\n", PYDLL, GetLastError()); return 127; }
  py_main = (int (*)(int, wchar_t **))GetProcAddress(h, "Py_Main");
  return py_main(argc, argv);
}
LAUNCHER
for V in "${VERS[@]}"; do
  N=${V/./}; P=$D/py$V; [ -e "$P/.ready" ] && continue
  rm -rf "$P"; mkdir -p "$P/DLLs" "$P/Lib/site-packages" "$D/dl"
  whl=$D/dl/panda3d-$PANDA-cp$N-cp$N-win_amd64.whl
  [ -s "$whl" ] || quiet "$PY" -m pip download -q --no-deps --only-binary=:all: --platform win_amd64 --python-version "$V" \
                     --implementation cp -d "$D/dl" "panda3d==$PANDA"
  "$PY" - "$whl" "$P" <<'E'
import os, sys, zipfile
whl, dst = sys.argv[1:]; z = zipfile.ZipFile(whl)
for n in z.namelist():
    b = os.path.basename(n)
    if not n.startswith('deploy_libs/') or not b or b.startswith(('api-ms', 'tcl', 'tk', '_tkinter', '_test', '_wmi')) or 't-win_amd64' in b: continue
    top = b.lower().startswith(('python', 'vcruntime'))          # the CRT itself (ucrtbase) is Wine's own
    open(os.path.join(dst, '' if top else 'DLLs', b), 'wb').write(z.read(n))
E
  # pure-Python standard library: any CPython X.Y of this machine, else Debian's package (3.11 only)
  lib=${PYLIB:-}
  for c in "python$V" $(ls -d "$HOME"/.pyenv/versions/$V.*/bin/python$V 2>/dev/null); do
    [ -n "$lib" ] || lib=$("$c" -I -c 'import sys,sysconfig; assert "%d.%d"%sys.version_info[:2]==sys.argv[1]; print(sysconfig.get_paths()["stdlib"])' "$V" 2>/dev/null) || true
  done
  if [ -z "$lib" ] || [ ! -e "$lib/argparse.py" ]; then
    (cd "$D/dl" && quiet apt-get -qq update && quiet apt-get -qq download "libpython$V-stdlib" "libpython$V-minimal" \
      && for d in libpython$V-*.deb; do dpkg -x "$d" "$D/dl/stdlib$V"; done); lib=$D/dl/stdlib$V/usr/lib/python$V
  fi
  tar -C "$lib/" -h --exclude=./site-packages --exclude=./dist-packages --exclude=./test --exclude=tests --exclude=./lib-dynload --exclude=__pycache__ \
      --exclude='./config-*' --exclude='./_sysconfigdata*' --exclude=./idlelib --exclude=./ensurepip --exclude=./sitecustomize.py --exclude='EXTERNALLY-MANAGED' -cf - . | tar -C "$P/Lib" -xf -
  quiet $CC -Wall -O2 -s -municode "-DPYDLL=L\"python$N.dll\"" "$D/launcher.c" -o "$P/python.exe"
  # pytest (drop if not wanted): "download", since "install" forgets Requires-Python; the last four by name, since pip judges markers by this machine
  quiet "$PY" -m pip download -q --only-binary=:all: --platform win_amd64 --python-version "$V" --implementation cp -d "$D/dl/pytest$V" \
       pytest pytest-timeout pytest-xdist execnet hypothesis sortedcontainers attrs colorama exceptiongroup tomli typing_extensions
  for w in "$D/dl/pytest$V"/*.whl; do "$PY" -m zipfile -e "$w" "$P/Lib/site-packages"; done
  touch "$P/.ready"
done

# 4. the runner
cat >"$D/winpy" <<E
#!/bin/bash
# winpy [-X.Y] [python args]   Wine hands Python usable std handles only for pipes and /dev/null: the rest go through cat.
export WINEPREFIX='$WINEPREFIX' WINEARCH=win64 WINEDEBUG=\${WINEDEBUG:--all} WINEDLLOVERRIDES='$WINEDLLOVERRIDES'
unset DISPLAY WAYLAND_DISPLAY PYTHONHOME
export WINPY_SHIM=\${WINPY_SHIM-1} WINPY_TRAMP=\${WINPY_TRAMP-1}; [ -n "\$WINPY_SHIM" ] || unset WINPY_SHIM; [ -n "\$WINPY_TRAMP" ] || unset WINPY_TRAMP
V=${VERS[0]}; case "\${1:-}" in -3.[0-9]*) V=\${1#-}; shift;; esac
( flock 9   # a server of our own, started with no pipe of the caller's: its services would hold it open for ever
  if $WS -p </dev/null >/dev/null 2>&1 9>&-; then timeout 60 $WINE cmd /c exit </dev/null >/dev/null 2>&1 9>&-; fi ) 9>'$D/.lock'
ok() { [ -p /dev/fd/\$1 ] || [ "\$(readlink /proc/\$BASHPID/fd/\$1)" = /dev/null ]; }
ok 0 || exec < <(exec cat)
if ! ok 1 || ! ok 2; then
  { { $WINE '$D'/py\$V/python.exe "\$@" 2>&3 | cat; exit \${PIPESTATUS[0]}; } 3>&1 1>&4 | cat >&2; exit \${PIPESTATUS[0]}; } 4>&1
fi
exec $WINE '$D'/py\$V/python.exe "\$@"
E
chmod +x "$D/winpy"
cat >"$D/winpy-stop" <<E
#!/bin/sh
WINEPREFIX='$WINEPREFIX' exec $WS -k
E
chmod +x "$D/winpy-stop"

# 5. precompile and prove
for V in "${VERS[@]}"; do
  [ -e "$D/py$V/.compiled" ] || { WINPY_TRAMP= "$D/winpy" "-$V" -c "import compileall,sys;compileall.compile_dir(sys.prefix+'/Lib',quiet=2,workers=1)" </dev/null 2>&1 | cat >>"$D/setup.log"; touch "$D/py$V/.compiled"; }
  "$D/winpy" "-$V" -c "import sys,platform,ctypes,socket,ssl,_winapi,msvcrt,winreg;print(sys.version,sys.platform,platform.system())" </dev/null 2>&1 | cat
done
"$D/winpy-stop" || true
