"""A renderer for the chaos test: asked to end by SIGTERM it takes a while to save where it is. Run as a script.

    chaos_renderer.py CHECKPOINT [stopped]

``stopped``: it stops itself when it has begun, as one does that reads from its terminal in the background.
"""

import os
import signal
import sys
import time

SAVE_SECONDS = 1.5


def save(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(SAVE_SECONDS)
    os.rename(sys.argv[1] + ".begun", sys.argv[1])
    os._exit(0)


signal.signal(signal.SIGTERM, save)
open(sys.argv[1] + ".begun", "w").close()
print("R:ready", flush=True)
if "stopped" in sys.argv:
    os.kill(os.getpid(), signal.SIGSTOP)
while True:
    time.sleep(60)
