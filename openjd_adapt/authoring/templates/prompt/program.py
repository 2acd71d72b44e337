"""Stands in for an application with a prompt. Put yours into __init__.py, and delete this."""

import sys
import time

scene = None
for line in sys.stdin:
    word, _, rest = line.rstrip("\n").partition(" ")
    if word == "open":
        scene = rest
        print("opened " + scene, flush=True)
    elif word == "render":
        frame, quality, output = rest.split(" ", 2)
        for percent in (25, 50, 75, 100):
            time.sleep(0.05)
            print("%d%%" % percent, flush=True)
        with open(output, "w") as stream:
            stream.write("frame %s of %s, quality %s\n" % (frame, scene, quality))
        print("frame %s written" % frame, flush=True)
    else:
        print("Error: what is %r?" % word, flush=True)
