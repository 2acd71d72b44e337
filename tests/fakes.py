"""What stands in for time and for fronts in the tests that replay histories without waiting."""

from __future__ import annotations


class Clock:
    """A clock that goes only where a test sets it."""

    now = 1000.0

    def __call__(self):
        return self.now


class Front:
    """A front as the keeper sees it: notes what it is sent, output apart from the rest, and all in its order."""

    def __init__(self):
        self.closed = False
        #: The offset and the body of each frame of output.
        self.frames = []
        #: Every other message.
        self.messages = []
        #: All in the order of its arrival: output as bytes, the rest as it was sent.
        self.log = []

    def send(self, message, body=b""):
        if "output" in message:
            self.frames.append((message["output"], body))
            self.log.append(body)
        else:
            self.messages.append(message)
            self.log.append(message)

    def refuse(self, reason, code):
        self.send({"error": reason, "code": code})

    @property
    def seen(self):
        return b"".join(body for _, body in self.frames)
