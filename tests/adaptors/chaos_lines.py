"""Numbered lines for the chaos test, and the record of those whose write has returned; run as a script, a child's."""

import os
import sys
import threading
import time


class Lines:
    """Writes ``L:series:number:padding;`` and then notes in the file ``record`` that it has done so."""

    def __init__(self, record, series, number=0):
        self.record = record
        self.series = series
        self.number = number
        self._descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def write(self, put, pad):
        with self._lock:
            put("L:%s:%d:%s;" % (self.series, self.number, "x" * pad))
            os.write(self._descriptor, b"%s %d\n" % (self.series.encode(), self.number))
            self.number += 1


def put_unmixed(text):
    """One write below PIPE_BUF, which no other writer's can come into."""
    os.write(1, text.encode() + b"\n")


if __name__ == "__main__":
    lines = Lines(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    for _ in range(int(sys.argv[4])):
        lines.write(put_unmixed, int(sys.argv[5]))
        time.sleep(float(sys.argv[6]))
