"""An adaptor as published ones are written for the reference: server, thread, queue, process and waiting by hand.

It imports nothing of the toolkit by its own name, and runs on either package.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time

from openjd.adaptor_runtime.adaptors import Adaptor, AdaptorDataValidators, SemanticVersion
from openjd.adaptor_runtime.adaptors.configuration import AdaptorConfiguration
from openjd.adaptor_runtime.app_handlers import RegexCallback, RegexHandler
from openjd.adaptor_runtime.application_ipc import ActionsQueue, AdaptorServer
from openjd.adaptor_runtime.process import LoggingSubprocess
from openjd.adaptor_runtime_client import Action

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 30


class Published(Adaptor[AdaptorConfiguration]):
    _server: AdaptorServer | None = None
    _server_thread: threading.Thread | None = None
    _application: LoggingSubprocess | None = None
    _action_queue = ActionsQueue()
    _rendering = False
    _failure: Exception | None = None

    @property
    def integration_data_interface_version(self):
        return SemanticVersion(major=0, minor=3)

    def _serve(self):
        self._server = AdaptorServer(self._action_queue, self)
        self._server.serve_forever()

    def _wait(self, going_on, seconds=SECONDS):
        end = time.time() + seconds
        while going_on() and not self._failure and time.time() < end:
            time.sleep(0.01)
        if self._failure:
            raise self._failure

    @property
    def _is_running(self):
        return self._application is not None and self._application.is_running

    def _callbacks(self):
        return [
            RegexCallback([re.compile(r"finished frame (\d+)")], self._finished),
            RegexCallback([re.compile(r"^done (\d+)%")], lambda m: self.update_status(progress=int(m.group(1)))),
            RegexCallback([re.compile(r"^Error: (.*)")], self._failed),
        ]

    def _finished(self, match):
        self.update_status(status_message="frame %s" % match.group(1))
        self._rendering = False

    def _failed(self, match):
        self._failure = RuntimeError("the application said: %s" % match.group(1))

    def on_start(self):
        AdaptorDataValidators.for_adaptor(os.path.join(HERE, "schemas")).init_data.validate(self.init_data)
        self._action_queue.enqueue_action(Action("scene", {"scene": self.init_data["scene"]}))
        self._server_thread = threading.Thread(target=self._serve, name="server")
        self._server_thread.start()
        self._wait(lambda: self._server is None or self._server.server_path is None)
        import openjd.adaptor_runtime_client

        namespace = os.path.dirname(os.path.dirname(openjd.adaptor_runtime_client.__file__))
        os.environ["PUBLISHED_SERVER_PATH"] = self._server.server_path
        handler = RegexHandler(self._callbacks())
        # The application's Python is another one: it gets these two folders, and nothing of this Python's path.
        boot = "import runpy, sys; sys.path[:0] = sys.argv[1:]; runpy.run_module('client', run_name='__main__')"
        self._application = LoggingSubprocess(
            args=[sys.executable, "-E", "-s", "-u", "-c", boot, namespace, HERE],
            stdout_handler=handler,
            stderr_handler=handler,
        )
        self._wait(lambda: self._is_running and len(self._action_queue) > 0)
        if len(self._action_queue) > 0:
            raise RuntimeError("the application has not taken everything")

    def on_run(self, run_data):
        if not self._is_running:
            raise RuntimeError("the application is not running")
        self._rendering = True
        self._action_queue.enqueue_action(Action("render", run_data))
        self._wait(lambda: self._is_running and self._rendering)
        if self._rendering:
            raise RuntimeError("the application exited with %s" % self._application.returncode)

    def on_cleanup(self):
        self._failure = None
        self._action_queue.enqueue_action(Action("close"), front=True)
        self._wait(lambda: self._is_running, 10)
        if self._is_running:
            self._application.terminate()
        if self._server:
            self._server.shutdown()
        if self._server_thread:
            self._server_thread.join(10)

    def on_cancel(self):
        if self._is_running:
            self._application.terminate(grace_time_s=0)
