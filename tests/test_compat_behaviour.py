"""What published adaptors, and their tests, take for granted of the reference; runs on either package.

``OPENJD_ADAPT_COMPAT`` names the folder that has the ``openjd`` to test: without it this package's ``compat``, with it
an installed reference (which ``test_compat_contract`` has pass these tests, too). Nothing here may import the toolkit.
"""
# ruff: noqa: E402 - the path decides which openjd is imported

from __future__ import annotations

import logging
import os
import pickle
import re
import stat
import subprocess
import sys
import threading
from unittest import mock

import pytest

from .conftest import ADAPTORS, ROOT, module

of_the_reference = bool(os.environ.get("OPENJD_ADAPT_COMPAT"))
for _place in (str(ADAPTORS), os.environ.get("OPENJD_ADAPT_COMPAT") or str(ROOT / "openjd_adapt" / "compat")):
    sys.path.insert(0, _place)

import openjd.adaptor_runtime_client as client_module
from openjd.adaptor_runtime import EntryPoint
from openjd.adaptor_runtime._osname import OSName
from openjd.adaptor_runtime._utils import secure_open
from openjd.adaptor_runtime._version import version
from openjd.adaptor_runtime.adaptors import (
    Adaptor,
    AdaptorDataValidator,
    AdaptorDataValidators,
    AdaptorRunner,
    AdaptorState,
    CommandAdaptor,
    PathMappingRule,
    SemanticVersion,
)
from openjd.adaptor_runtime.adaptors.configuration import AdaptorConfiguration, RuntimeConfiguration
from openjd.adaptor_runtime.app_handlers import RegexCallback, RegexHandler
from openjd.adaptor_runtime.application_ipc import ActionsQueue, AdaptorServer
from openjd.adaptor_runtime.process import LoggingSubprocess, ManagedProcess
from openjd.adaptor_runtime_client import Action, ClientInterface
from published import adaptor as published_adaptor
from published.adaptor import Published

RULES = {
    "version": "pathmapping-1.0",
    "path_mapping_rules": [
        {"source_path_format": "POSIX", "source_path": "/a", "destination_path": "/b", "destination_os": "linux"}
    ],
}


def python(code: str, **options) -> LoggingSubprocess:
    return LoggingSubprocess(args=[sys.executable, "-u", "-c", code], **options)


@pytest.fixture
def adaptor():
    """The adaptor that is written as published ones are, not started."""
    Published._action_queue = ActionsQueue()  # which is the class's, as theirs are
    with mock.patch.dict(os.environ):
        yield Published({"scene": "/a/x"}, path_mapping_data=RULES)


# An adaptor's life


@pytest.mark.posix_only
def test_an_adaptor_with_an_application_goes_through_its_life(adaptor, capfd):
    runner = AdaptorRunner(adaptor=adaptor)
    assert runner.state is AdaptorState.NOT_STARTED
    runner._start()
    try:
        assert runner.state == "start" and len(adaptor._action_queue) == 0
        for frame in (1, 2):
            runner._run({"frame": frame})
            assert runner.state is AdaptorState.RUN
    finally:
        runner._stop()
        runner._cleanup()
    assert runner.state is AdaptorState.CLEANUP
    assert adaptor._application.returncode == 0 and not adaptor._application.is_running
    assert not adaptor._server_thread.is_alive()
    assert not os.path.exists(adaptor._server.server_path)


@pytest.mark.posix_only
@pytest.mark.parametrize(
    ("run_data", "message"),
    [
        ({"frame": 1, "complain": True}, "the application said: no licence"),
        ({"frame": 1, "crash": True}, "the application exited with 1"),
    ],
)
def test_what_goes_wrong_in_the_application_is_raised_by_the_task(adaptor, run_data, message):
    runner = AdaptorRunner(adaptor=adaptor)
    runner._start()
    try:
        with pytest.raises(RuntimeError, match=message):
            runner._run(run_data)
    finally:
        runner._cleanup()


@pytest.mark.posix_only
def test_an_adaptor_can_end_its_application_from_on_cancel(adaptor):
    runner = AdaptorRunner(adaptor=adaptor)
    runner._start()
    running = threading.Event()
    adaptor.update_status = lambda **values: running.set()
    canceling = threading.Thread(target=lambda: running.wait(60) and adaptor.on_cancel())
    canceling.start()
    try:
        with pytest.raises(RuntimeError, match="the application exited with -9"):
            runner._run({"frame": 1, "hang": True})
    finally:
        canceling.join(60)
        runner._cleanup()


def test_server_and_process_can_be_mocked_by_the_names_under_which_an_adaptor_imports_them(adaptor):
    with mock.patch.object(published_adaptor, "AdaptorServer") as server, mock.patch.object(
        published_adaptor, "LoggingSubprocess"
    ) as process:
        server.return_value.server_path = "/tmp/9999"
        process.return_value.is_running = False
        with pytest.raises(RuntimeError, match="has not taken everything"):
            adaptor.on_start()
    assert server.call_args[0] == (adaptor._action_queue, adaptor)
    assert os.environ["PUBLISHED_SERVER_PATH"] == "/tmp/9999"
    handler = process.call_args[1]["stdout_handler"]
    assert handler is process.call_args[1]["stderr_handler"]
    assert [type(entry) for entry in handler.regex_callbacks] == [RegexCallback] * 3
    assert adaptor._action_queue.dequeue_action() == Action("scene", {"scene": "/a/x"})


@pytest.mark.parametrize("name", ["update_status", "map_path", "path_mapping_rules", "init_data", "config", "cancel"])
def test_the_base_class_has_what_adaptors_call(adaptor, name):
    assert hasattr(adaptor, name)


def test_an_adaptor_may_name_its_configuration_for_type_checkers():
    class Named(Adaptor[AdaptorConfiguration]):
        pass

    class NamedCommand(CommandAdaptor[AdaptorConfiguration]):
        pass

    assert issubclass(Named, Adaptor) and issubclass(NamedCommand, CommandAdaptor)


def test_the_configuration_has_the_log_level_and_what_it_was_made_of():
    for cls in (AdaptorConfiguration, RuntimeConfiguration):
        assert cls({}).log_level == "INFO" and cls({}).config["log_level"] == "INFO"
        assert cls({"log_level": "DEBUG"}).log_level == "DEBUG"
        assert cls({"a": 1}).override(cls({"b": 2}))._config == {"a": 1, "b": 2}


def test_a_command_adaptor_runs_its_process():
    class Process(ManagedProcess):
        def get_executable(self):
            return sys.executable

        def get_arguments(self):
            return ["-c", "print('frame %d')" % self.run_data["frame"]]

    class Command(CommandAdaptor):
        integration_data_interface_version = SemanticVersion(0, 1)
        seen: list = []

        def get_managed_process(self, run_data):
            callback = RegexCallback([re.compile(r"frame (\d+)")], lambda match: self.seen.append(match.group(1)))
            return Process(run_data, stdout_handler=RegexHandler([callback]))

        def on_postrun(self):
            self.seen.append("after")

    runner = AdaptorRunner(adaptor=Command({}))
    runner._start()
    runner._run({"frame": 7})
    assert Command.seen == ["7", "after"]


def test_update_status_may_be_called_on_any_thread(adaptor):
    failures: list = []

    def call():
        try:
            adaptor.update_status(progress=50, status_message="half")
            Adaptor.update_status(progress=12.5)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)
    assert not failures


# Path mapping


def test_rules_come_from_the_document_and_map_paths(adaptor):
    assert adaptor._path_mapping_rules == adaptor.path_mapping_rules and len(adaptor.path_mapping_rules) == 1
    assert adaptor.path_mapping_rules[0] == PathMappingRule(**RULES["path_mapping_rules"][0])
    assert adaptor.map_path("/a/x/y") == "/b/x/y"
    assert adaptor.map_path("/ab") == "/ab"
    adaptor.path_mapping_rules.clear()  # which is a copy
    assert len(adaptor._path_mapping_rules) == 1


def test_a_rule_survives_its_dict_and_knows_its_equal():
    rule = PathMappingRule(
        source_path_format="windows", source_path="Z:\\a", destination_path="/b", destination_os="linux"
    )
    assert PathMappingRule.from_dict(rule=rule.to_dict()) == rule
    assert rule != PathMappingRule(
        source_path_format="windows", source_path="Z:\\c", destination_path="/b", destination_os="linux"
    )
    assert rule.apply(path="z:/A/x") == (True, "/b/x")
    assert rule.apply(path="y:/A/x") == (False, "y:/A/x")


@pytest.mark.parametrize("name", ["posix", "POSIX", "linux", "Linux2", "darwin", "macOS", " mac "])
def test_a_rules_format_may_be_the_name_of_a_system(name):
    rule = PathMappingRule(source_path_format=name, source_path="/a", destination_path="/b", destination_os="linux")
    assert rule.apply(path="/a/x") == (True, "/b/x")


@pytest.mark.parametrize("rule", [{}, {"source_path_format": "posix", "source_path": "", "destination_path": "/b"}])
def test_a_bad_rule_is_a_value_error(rule):
    with pytest.raises(ValueError):
        PathMappingRule.from_dict(rule=rule)


# Validators


SCHEMA = {
    "type": "object",
    "properties": {"frame": {"type": "integer"}, "name": {"enum": ["a", "b"]}},
    "required": ["frame"],
}


@pytest.mark.parametrize("data", [{}, {"frame": "x"}, {"frame": 1, "name": "c"}, 'frame: "x"'])
def test_bad_data_raise_jsonschemas_error(data):
    exceptions = module("jsonschema.exceptions")
    import jsonschema

    with pytest.raises(jsonschema.ValidationError) as caught:
        AdaptorDataValidator(SCHEMA).validate(data)
    value = {"frame": "x"} if isinstance(data, str) else data
    with pytest.raises(exceptions.ValidationError) as expected:
        jsonschema.validate(value, SCHEMA)
    assert caught.value.message == expected.value.message == str(caught.value).splitlines()[0]
    for attribute in ("validator", "instance", "path", "absolute_path", "schema_path"):
        assert getattr(caught.value, attribute) == getattr(expected.value, attribute), attribute
    if not of_the_reference:  # jsonschema's own errors hold functions
        copied = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(copied, jsonschema.ValidationError) and str(copied) == str(caught.value)


def test_a_wrong_schema_is_jsonschemas_error_and_names_no_data():
    jsonschema = module("jsonschema")
    with pytest.raises(jsonschema.exceptions.SchemaError) as caught:
        AdaptorDataValidator({"type": "nonsense"}).validate({})
    assert of_the_reference or str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_validators_of_an_adaptor_lie_in_a_folder(tmp_path):
    validators = AdaptorDataValidators.for_adaptor(str(ADAPTORS / "published" / "schemas"))
    validators.init_data.validate({"scene": "a"})
    validators.run_data.validate("frame: 1")
    assert isinstance(validators.run_data, AdaptorDataValidator)
    with pytest.raises(FileNotFoundError):
        AdaptorDataValidators.for_adaptor(str(tmp_path))
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError):
        AdaptorDataValidator.from_schema_file(str(tmp_path / "x.json"))


# Processes and their lines


def test_a_callback_sees_the_lines_of_both_streams():
    seen: list = []
    handler = RegexHandler([RegexCallback([re.compile("line (.*)")], lambda match: seen.append(match.group(1)))])
    code = "import os; os.write(1, b'line out\\nline \\xc3\\xbc\\n'); os.write(2, b'line error\\n')"
    process = python(code, stdout_handler=handler, stderr_handler=handler)
    process.wait()
    assert sorted(seen) == ["error", "out", "ü"]
    assert process.returncode == 0 and not process.is_running


def test_lines_reach_an_authors_own_logger_at_the_levels_of_their_streams():
    records: list = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("%s.lines" % __name__)
    logger.addHandler(handler)
    python("import sys; print('out'); sys.stderr.write('error\\n')", logger=logger).wait()
    found = {(record.levelname, record.getMessage()) for record in records}
    assert {("STDOUT", "out"), ("STDERR", "error")} <= found
    assert logging.getLevelName("STDOUT") < logging.getLevelName("STDERR") < logging.getLevelName("ADAPTOR_OUTPUT")


def test_callbacks_are_tried_in_order_as_their_flags_say():
    calls: list = []

    def callback(name, pattern, **flags):
        return RegexCallback([re.compile(pattern)], lambda match: calls.append(name), **flags)

    handler = RegexHandler(
        [
            callback("first", "a"),
            callback("never", "a", only_run_if_first_matched=True),
            callback("last", "ab", exit_if_matched=True),
            callback("after", "a"),
        ]
    )
    handler.emit(logging.LogRecord("", logging.INFO, "", 0, "ab", None, None))
    assert calls == ["first", "last"]
    handler.emit(logging.LogRecord("", logging.INFO, "", 0, "a", None, None))
    assert calls == ["first", "last", "first", "after"]


def test_a_callback_may_be_derived_from_and_knows_its_equal():
    class Clean(RegexCallback):
        def get_match(self, msg):
            return super().get_match(msg.replace("\0", ""))

    patterns = (re.compile("nothing"), re.compile("a(b)"))
    assert Clean(patterns, print).get_match("a\0b").group(1) == "b"
    callback = RegexCallback(patterns, print)
    assert callback == RegexCallback(list(patterns), print) != RegexCallback(patterns, print, True)
    assert callback.regex_list == list(patterns)


def test_terminate_without_grace_ends_a_process_that_would_not():
    process = python("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(100)")
    assert process.is_running and process.returncode is None and process.pid > 0
    process.terminate(grace_time_s=0)
    assert not process.is_running and process.returncode not in (0, None)
    process.terminate()  # again does nothing
    process.wait()


def test_wait_closes_the_standard_input():
    process = python("import sys; sys.exit(len(sys.stdin.read()))")
    process.wait()
    assert process.returncode == 0


def test_a_process_is_waited_for_at_the_end_of_its_with():
    with python("raise SystemExit(3)") as process:
        pass
    assert process.returncode == 3


def test_a_program_that_is_not_there_is_a_file_not_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # whose folders may all be looked into
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        LoggingSubprocess(args=["no-such-program"])
    with pytest.raises(ValueError):
        LoggingSubprocess(args=[])


@pytest.mark.posix_only
def test_a_program_that_may_not_be_run_is_a_permission_error(tmp_path):
    (tmp_path / "program").write_text("#!/bin/sh\n")
    with pytest.raises(PermissionError, match="program"):
        LoggingSubprocess(args=[str(tmp_path / "program")])


# Actions, server and client


def test_the_queue_tells_what_was_not_taken():
    queue = ActionsQueue()
    assert not queue and len(queue) == 0 and queue.dequeue_action() is None
    queue.enqueue_action(Action("a", {"x": [1]}))
    queue.enqueue_action(Action("b"), front=True)
    assert queue and len(queue) == 2
    assert [queue.dequeue_action() for _ in range(2)] == [Action("b", None), Action("a", {"x": [1]})]


def test_an_action_is_its_name_and_arguments_as_json():
    action = Action("a", {"x": [1]})
    assert str(action) == '{"name": "a", "args": {"x": [1]}}'
    assert Action.from_json_string(str(action)) == Action.from_bytes(str(action).encode()) == action
    assert action != Action("a") and len({Action("a"), Action("a"), Action("b")}) == 2


class Client(ClientInterface):
    closed = 0

    def close(self, args=None):
        self.closed += 1

    def graceful_shutdown(self, signum, frame):
        pass


@pytest.fixture
def queue_and_client():
    """A queue behind a server, and a client on a thread other than the main one."""

    class Rules:
        path_mapping_rules = [PathMappingRule(**RULES["path_mapping_rules"][0])]

        def map_path(self, path):
            return path.replace("/a", "/b", 1)

    queue = ActionsQueue()
    server = AdaptorServer(queue, Rules())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert isinstance(server.server_path, str) and os.path.exists(server.server_path)
    yield queue, Client(server.server_path)
    server.shutdown()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.posix_only
def test_a_client_performs_actions_until_close(queue_and_client, capsys):
    queue, client = queue_and_client
    seen: list = []
    client.actions["see"] = seen.append
    for action in (Action("see", {"x": 1}), Action("unknown", {}), Action("see"), Action("close"), Action("see")):
        queue.enqueue_action(action)
    client.poll()
    assert seen == [{"x": 1}, None] and client.closed == 1 and len(queue) == 1
    captured = capsys.readouterr()
    assert "unknown" in captured.err and '"see"' in captured.out


@pytest.mark.posix_only
def test_an_exception_of_an_action_ends_poll(queue_and_client):
    queue, client = queue_and_client

    def fail(args):
        raise KeyError("on purpose")

    client.actions["fail"] = fail
    queue.enqueue_action(Action("fail"))
    with pytest.raises(KeyError, match="on purpose"):
        client.poll()


@pytest.mark.posix_only
def test_a_client_maps_paths_once_and_says_so(queue_and_client, capsys):
    client = queue_and_client[1]
    assert client.map_path("/a/x") == client.map_path("/a/x") == "/b/x"
    lines = [line for line in capsys.readouterr().out.splitlines() if "/b/x" in line]
    assert len(lines) == 1 and "/a/x" in lines[0]
    rule = client.path_mapping_rules()[0]
    assert (rule.source_path_format.lower(), rule.source_path, rule.destination_path) == ("posix", "/a", "/b")


@pytest.mark.posix_only
def test_a_client_with_an_event_loop_of_its_own_asks_for_one_action_at_a_time(queue_and_client):
    queue, client = queue_and_client
    queue.enqueue_action(Action("a", {"x": 1}))
    status, reason, action = client._request_next_action()
    assert (int(status), reason, action) == (200, "OK", Action("a", {"x": 1}))


def test_a_client_is_made_without_a_server_and_its_requests_can_be_mocked(capsys):
    client = Client(server_path="/tmp/9999")
    assert client.server_path == "/tmp/9999" and client.actions["close"] == client.close
    performed: list = []
    client.actions["a"] = performed.append
    actions = [None, Action("a", {"x": 1}), Action("close")]
    answers = [(404, "Not Found", None), *[(200, "OK", action) for action in actions]]
    with mock.patch.object(Client, "_request_next_action", side_effect=answers) as request:
        client.poll()
    assert request.call_count == 4 and performed == [{"x": 1}] and client.closed == 1
    assert "404" in capsys.readouterr().err
    with mock.patch.object(ClientInterface, "map_path", return_value="mapped") as mapped:
        assert client.map_path("x") == "mapped" and mapped.call_count == 1


def test_a_clients_rules_are_values_with_positions():
    rule = client_module.PathMappingRule("posix", "/a", "/b", "linux")
    assert (rule.source_path, rule.destination_path, rule.destination_os) == ("/a", "/b", "linux")
    assert rule == client_module.PathMappingRule("posix", "/a", "/b", "linux")


@pytest.mark.posix_only
def test_sigterm_is_the_clients_graceful_shutdown():
    code = (
        "import os, signal, sys; from openjd.adaptor_runtime_client import ClientInterface\n"
        "class Client(ClientInterface):\n"
        "    def close(self, args=None): pass\n"
        "    def graceful_shutdown(self, signum, frame): print('graceful', signum)\n"
        "Client('/tmp/9999'); os.kill(os.getpid(), signal.SIGTERM)"
    )
    namespace = os.path.dirname(os.path.dirname(os.path.dirname(client_module.__file__)))
    out = subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": namespace})
    assert out == b"graceful 15\n"


# The rest


def test_a_secure_file_is_its_users_alone(tmp_path):
    path = tmp_path / "x"
    with secure_open(path, "w", encoding="utf-8") as stream:
        stream.write("ü")
    with secure_open(str(path), open_mode="a", encoding="utf-8", newline="\n") as stream:
        stream.write("b\n")
    with secure_open(path, "r", encoding="utf-8") as stream:
        assert stream.read() == "üb\n"
    with pytest.raises(FileExistsError), secure_open(path, "x"):
        pass
    if hasattr(os, "geteuid"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with secure_open(tmp_path / "y", "w", mask=stat.S_IRGRP):
            pass
        assert stat.S_IMODE((tmp_path / "y").stat().st_mode) == 0o640
        before = os.umask(0o077)
        try:
            with secure_open(tmp_path / "z", "w", mask=stat.S_IRGRP):
                pass
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "z").stat().st_mode) == 0o600
    with pytest.raises(ValueError), secure_open(path, "q"):
        pass


def test_a_system_equals_each_of_its_names():
    assert OSName("nt") == "windows" == OSName("Win32") and OSName("darwin") == "macOS" and OSName("linux2") == "Linux"
    assert isinstance(OSName(), str) and OSName.is_posix() == (os.name == "posix")
    assert OSName.is_windows("win32") and OSName.is_macos("mac") and OSName.is_linux("linux")
    assert not OSName.is_posix("nt") and OSName.is_posix("posix") and str(OSName("posix")) == OSName.POSIX
    assert hash(OSName("nt")) == hash("Windows") and OSName("nt") != "linux"
    with pytest.raises(ValueError):
        OSName("plan 9")


def test_versions_are_ordered_and_compatible_as_semantic_versions_are():
    assert SemanticVersion(1, 2) > SemanticVersion(1, 1) and str(SemanticVersion(major=1, minor=2)) == "1.2"
    assert SemanticVersion.parse("1.2").has_compatibility_with(SemanticVersion(1, 1))
    assert not SemanticVersion(0, 2).has_compatibility_with(SemanticVersion(0, 1))
    with pytest.raises(ValueError):
        SemanticVersion.parse("1")


def test_the_entry_point_has_a_set_of_what_it_calls_and_returns_on_success(capsys):
    entry = EntryPoint(Published)
    entry.on_bootstrap_complete.add(print)
    assert entry.adaptor_class is Published
    with mock.patch.object(sys, "argv", ["published", "version-info"]):
        assert entry.start(reentry_exe=None) is None
    assert "Published Data Interface Version: '0.3'" in capsys.readouterr().out.replace(": 0.3", ": '0.3'")
    assert re.match(r"\d+\.\d+", version)


def test_bad_usage_is_a_system_exit(capsys):
    with mock.patch.object(sys, "argv", ["published", "nonsense"]), pytest.raises(SystemExit) as caught:
        EntryPoint(Published).start()
    assert caught.value.code == 2
