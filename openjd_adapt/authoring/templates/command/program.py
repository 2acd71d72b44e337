"""Stands in for a program that renders: frame, output, quality. Put yours into __init__.py, and delete this."""

import sys
import time

frame, output, quality = sys.argv[1:]
for percent in (25, 50, 75, 100):
    time.sleep(0.05)
    print("%d%%" % percent, flush=True)
with open(output, "w") as stream:
    stream.write("frame %s, quality %s\n" % (frame, quality))
