"""Runs inside the application: its functions are what the adaptor calls. Put your application's own calls here."""

import time

from openjd_adapt.client import Client

client = Client()
scene = None


@client.action
def open_scene(path):
    global scene
    scene = path
    print("opened " + path)


@client.action
def render(frame, output, quality):
    for percent in (25, 50, 75, 100):
        time.sleep(0.05)
        print("%d%%" % percent, flush=True)
    with open(output, "w") as stream:
        stream.write("frame %d of %s, quality %d\n" % (frame, scene, quality))


client.serve_forever()
