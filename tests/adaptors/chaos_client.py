"""What the stand-in application of the chaos test runs as its client."""

import os
import sys
import time

from openjd_adapt.client import Client

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chaos_lines import Lines  # noqa: E402

client = Client()
lines_of = Lines(os.environ["CHAOS_RECORD"], os.environ["CHAOS_SERIES"])


@client.action
def lines(count, pad, pause):
    for _ in range(count):
        lines_of.write(lambda text: print(text, flush=True), pad)
        time.sleep(pause)


client.serve_forever()
