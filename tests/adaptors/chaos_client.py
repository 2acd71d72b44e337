"""What the stand-in application of the chaos test runs as its client."""

import os
import sys
import time

from openjd_adapt.client import Client

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chaos_forks import fork_and_wait  # noqa: E402
from chaos_lines import FORBIDDEN, MALFORMED, Lines, padding, put_unmixed  # noqa: E402

client = Client()
lines_of = Lines(os.environ["CHAOS_RECORD"], os.environ["CHAOS_SERIES"])


def put(text):
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.buffer.flush()


@client.action
def lines(count, pad, odd, pause):
    for _ in range(count):
        lines_of.write(put, padding(pad, odd))
        time.sleep(pause)


@client.action
def fork(kind):
    fork_and_wait(kind, time.sleep)


@client.action
def directives():
    for text in MALFORMED + FORBIDDEN:
        put_unmixed(text)


client.serve_forever()
