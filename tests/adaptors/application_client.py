"""What the stand-in application runs as its client, for tests."""

import os
import sys
import time

if os.environ.get("ACT") == "never connect":
    print("never connecting", flush=True)
    time.sleep(300)
if os.environ.get("ACT") == "die":
    print("cannot get a licence", flush=True)
    sys.exit(9)

from openjd_adapt.client import Client, encode  # noqa: E402

client = Client()


@client.action
def pid():
    return os.getpid()


@client.action
def echo(value):
    return value


@client.action
def execute(code):
    exec(code, {})


@client.action
def fail():
    raise RuntimeError("no such object")


@client.action
def not_json():
    return object()


@client.action
def lines(lines):
    for line in lines:
        print(line, flush=True)


@client.action
def sleep(seconds):
    print("sleeping", flush=True)
    time.sleep(seconds)
    return "slept"


@client.action
def report(percents):
    for percent in percents:
        client.progress(percent)
    client.status("reported")


@client.action
def map_path(path):
    return client.map_path(path)


@client.action
def lie(call):
    client._send(encode({"answer": call, "result": "of nothing"}))


@client.action
def leave():
    client.close()
    time.sleep(0.2)
    sys.exit(5)


if os.environ.get("ACT") == "own loop":
    while client.poll_once():
        time.sleep(0.01)
else:
    client.serve_forever()
print("application ends", flush=True)
