"""A CommandAdaptor that runs the command of its run data, for tests."""

from __future__ import annotations

import re

from openjd_adapt import CommandAdaptor, ManagedProcess, RegexCallback, RegexHandler


class Command(CommandAdaptor):
    def on_prerun(self):
        print("on_prerun")

    def get_managed_process(self, run_data):
        print("get_managed_process")
        return Process(self, run_data)

    def on_postrun(self):
        print("on_postrun")


class Process(ManagedProcess):
    def __init__(self, adaptor, run_data):
        self.grace_seconds = run_data.get("grace", 5)
        done = RegexCallback([re.compile(r"done (\d+)")], lambda m: adaptor.update_status(progress=int(m.group(1))))
        boom = RegexCallback([re.compile("callback: boom")], self.boom)
        handler = RegexHandler([done, boom])
        super().__init__(run_data, stdout_handler=handler, stderr_handler=handler)

    def boom(self, match):
        raise ValueError("the callback said %s" % match.group(0))

    def get_executable(self):
        return self.run_data["args"][0]

    def get_arguments(self):
        return self.run_data["args"][1:]

    def get_startup_directory(self):
        return self.run_data.get("cwd")

    def get_environment(self):
        return self.run_data.get("env")
