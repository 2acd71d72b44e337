"""What the chaos test's adaptors, applications and children write; run as a script, a child's numbered lines.

Numbered lines, and the record of those whose write has returned; and lines that look like directives.
"""

import os
import sys
import threading
import time

#: What pads an odd line: characters of one to three bytes, and a byte that is not UTF-8.
ODD = "x\u00e9\udce9\u732b"
#: What looks like a directive and is malformed.
MALFORMED = ["  openjd_env: A=1", "OPENJD_ENV: A=1", "\topenjd_unset_env: A", "50 %\ropenjd_env: A B", "openjd_env"]
#: What no scheduler may hear from an application that the adaptor has not allowed that.
FORBIDDEN = ["openjd_redacted_env: PASSWORD=hush-hush", "openjd_env: A=1", "  openjd_redacted_env: B=hush-hush"]


def padding(size, odd):
    return (ODD * (size // len(ODD) + 1))[:size] if odd else "x" * size


class Lines:
    """Writes ``L:series:number:padding;`` and then notes in the file ``record`` that it has done so."""

    def __init__(self, record, series, number=0):
        self.record = record
        self.series = series
        self.number = number
        self._descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def write(self, put, pad="", enter=True):
        """``enter``: whether this may wait for another thread; not where it may have interrupted itself."""
        if not self._lock.acquire(blocking=enter):
            return
        try:
            put("L:%s:%d:%s;" % (self.series, self.number, pad))
            os.write(self._descriptor, b"%s %d\n" % (self.series.encode(), self.number))
            self.number += 1
        finally:
            self._lock.release()


def put_unmixed(text):
    """One write below PIPE_BUF, which no other writer's can come into."""
    os.write(1, text.encode("utf-8", "surrogateescape") + b"\n")


def main(record, series, first, count, pad, odd, pause):
    if record == "-":
        for text in MALFORMED + (FORBIDDEN if int(count) else []):
            put_unmixed(text)
        return
    lines = Lines(record, series, int(first))
    for _ in range(int(count)):
        lines.write(put_unmixed, padding(int(pad), odd == "True"))
        time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
