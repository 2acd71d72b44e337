"""Layered configuration: what overrides what, what is said about a broken layer, and that nothing is written.

The layers, weakest first: the adaptor's own file, the system's, the user's, ``NAME_CONFIG_PATH``, ``--config``.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TypeVar

import pytest

from openjd_adapt import (
    Adaptor,
    AdaptorConfiguration,
    AdaptorConfigurationOptions,
    CommandAdaptor,
    InputError,
    RuntimeConfiguration,
    config,
    data,
    system,
)

pytestmark = pytest.mark.core

LAYERS = ["default", "system", "user", "named", "command line"]


class Layout:
    """The places of all layers below one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.module = folder / "code" / "tool.py"
        self.files = {
            "default": folder / "code" / "Tool.json",
            "system": folder / "etc" / "openjd" / "adaptors" / "Tool" / "Tool.json",
            "user": folder / "home" / ".openjd" / "adaptors" / "Tool" / "Tool.json",
            "named": folder / "named.json",
            "command line": folder / "command_line.json",
        }
        self.runtime_files = {
            "system": folder / "etc" / "openjd" / "adaptors" / "runtime" / "configuration.json",
            "user": folder / "home" / ".openjd" / "adaptors" / "runtime" / "configuration.json",
            "named": folder / "runtime.json",
        }
        self.command_line_files = [self.files["command line"]]

    def manager(self):
        files = [str(path) for path in self.command_line_files]
        return config.for_adaptor("Tool", str(self.module), AdaptorConfigurationOptions(), files)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A host on which the environment and the command line name files that do not exist yet."""
    made = Layout(tmp_path)
    monkeypatch.setattr(system, "configuration_folder", lambda: str(tmp_path / "etc"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))  # its name on Windows
    monkeypatch.setenv("TOOL_CONFIG_PATH", str(made.files["named"]))
    monkeypatch.setenv("RUNTIME_CONFIG_PATH", str(made.runtime_files["named"]))
    return made


@pytest.mark.parametrize("present", [LAYERS[:count] for count in range(6)] + [[name] for name in LAYERS], ids="-".join)
def test_each_layer_overrides_the_keys_of_those_before_it(layout, present):
    for name in present:
        write(layout.files[name], {"value": name, name: True, "deep": {name: 1}})
    built = layout.manager().build_config()
    expected = {"value": present[-1], "deep": {present[-1]: 1}} if present else {}
    assert built.given == {**expected, **dict.fromkeys(present, True)}
    assert built.config == {"log_level": "INFO", **built.given}


def test_origins_tell_for_each_key_the_file_that_set_it(layout):
    write(layout.files["default"], {"a": 1, "b": 1})
    write(layout.files["user"], {"b": 2, "c": 2})
    files = {name: str(path) for name, path in layout.files.items()}
    assert layout.manager().explain()[1] == {
        "log_level": "built in",
        "a": files["default"],
        "b": files["user"],
        "c": files["user"],
    }


def test_several_files_of_the_command_line_override_in_their_order(layout):
    layout.command_line_files = [layout.folder / "1.json", layout.folder / "2.json"]
    for number, path in enumerate(layout.command_line_files):
        write(path, {"value": number})
    assert layout.manager().build_config().given == {"value": 1}


def test_only_a_file_that_was_named_is_missed_and_only_with_a_warning(layout, caplog):
    assert layout.manager().build_config().config == {"log_level": "INFO"}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [str(layout.files[name]) in text for name, text in zip(LAYERS[3:], warnings)] == [True, True]
    assert len(warnings) == 2


def test_a_missing_file_is_warned_of_once_however_often_an_adaptor_looks(layout, caplog):
    class Tool(Adaptor):
        def on_run(self, run_data):
            """Nothing."""

    adaptor = Tool({})
    assert config.log_level(adaptor.config, "INFO") == adaptor.config.log_level == "INFO"
    assert caplog.text.count(str(layout.files["named"])) == 1


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "content, complaint",
    [
        ('{\n  "a": 1,,\n}', "is not JSON: line 2, column 10: "),
        ("", "is not JSON: line 1, column 1: "),
        ('{"a": NaN}', "NaN"),
        ("[1]", "must be an object"),
        ('{"log_level": "LOUD"}', "log_level is 'LOUD'; known are DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ('{"log_level": null}', "log_level is None; known are"),
    ],
)
def test_a_broken_layer_is_named_with_the_place_and_the_reason(layout, name, content, complaint):
    write(layout.files[name], content)
    with pytest.raises(InputError) as caught:
        layout.manager().build_config()
    assert str(caught.value).startswith("configuration %s: " % layout.files[name])
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "adaptor, runtime, level",
    [
        ({}, {}, "INFO"),
        ({}, {"system": "ERROR"}, "ERROR"),
        ({}, {"system": "ERROR", "user": "DEBUG"}, "DEBUG"),
        ({}, {"user": "DEBUG", "named": "CRITICAL"}, "CRITICAL"),
        ({"default": "WARNING"}, {"named": "DEBUG"}, "WARNING"),
        ({"default": "INFO"}, {"named": "DEBUG"}, "INFO"),
        ({"default": "WARNING", "command line": "DEBUG"}, {}, "DEBUG"),
    ],
)
def test_the_adaptors_log_level_comes_before_the_runtimes(layout, adaptor, runtime, level):
    for name, value in adaptor.items():
        write(layout.files[name], {"log_level": value})
    for name, value in runtime.items():
        write(layout.runtime_files[name], {"log_level": value})
    runtime_level = config.for_runtime().build_config().log_level
    assert config.log_level(layout.manager().build_config(), runtime_level) == level


def test_the_runtimes_own_configuration_has_defaults(layout):
    built = config.for_runtime().build_config()
    assert isinstance(built, RuntimeConfiguration)
    assert (built.log_level, built.deactivate_telemetry) == ("INFO", False)
    write(layout.runtime_files["user"], {"deactivate_telemetry": True, "plugin": "kept"})
    assert config.for_runtime().build_config().config["plugin"] == "kept"


def test_a_subclass_has_its_own_defaults_and_properties(layout):
    class Own(AdaptorConfiguration):
        DEFAULTS = {**AdaptorConfiguration.DEFAULTS, "threads": 4}

        @property
        def threads(self):
            return self.config["threads"]

    manager = config.for_adaptor("Tool", str(layout.module), AdaptorConfigurationOptions(Own))
    assert manager.build_config().threads == 4
    write(layout.files["system"], {"threads": 8})
    assert manager.build_config().threads == 8


def test_an_adaptors_class_of_configuration_stands_in_brackets_unless_its_options_name_one(layout):
    class Own(AdaptorConfiguration):
        pass

    class Studio(CommandAdaptor[TypeVar("Conf")]):
        def get_managed_process(self, run_data):
            pass

    class Mine(Studio[Own]):
        pass

    options = AdaptorConfigurationOptions(AdaptorConfiguration)
    for adaptor, kind in (
        (Mine({}), Own),
        (Mine({}, config_opts=AdaptorConfigurationOptions()), Own),
        (Mine({}, config_opts=options), AdaptorConfiguration),
        (Studio({}), AdaptorConfiguration),
    ):
        assert type(adaptor.config) is kind and type(adaptor.config_manager.get_default_config()) is kind
    assert issubclass(Mine, Studio) and not Studio[Own].__abstractmethods__


def test_another_file_may_take_the_place_of_the_adaptors_own(layout):
    write(layout.files["default"], {"value": "not this"})
    write(layout.folder / "other.json", {"value": "this"})
    own = str(layout.folder / "other.json")
    manager = config.for_adaptor("Tool", str(layout.module), AdaptorConfigurationOptions(config_path=own))
    assert manager.get_default_config().given == {"value": "this"}


def test_what_is_given_out_cannot_change_the_configuration(layout):
    write(layout.files["default"], {"value": 1})
    built = layout.manager().build_config()
    built.config["value"] = built.given["value"] = 2
    assert built.config["value"] == built.given["value"] == 1


def test_nested_values_are_the_readers_own_whether_given_or_built_in():
    class Own(AdaptorConfiguration):
        DEFAULTS = {"built_in": {"list": [1]}}

    given = {"nested": {"list": [{"a": 1}]}}
    built = Own(given)
    for read in (lambda: built.config, lambda: built.override(Own({})).config):
        read()["built_in"]["list"].append(2)
        read()["nested"]["list"][0]["a"] = 2
        assert read() == {"built_in": {"list": [1]}, "nested": {"list": [{"a": 1}]}}
    built.given["nested"]["list"].clear()
    given["nested"]["list"].clear()
    assert built.given == {"nested": {"list": [{"a": 1}]}}
    assert Own.DEFAULTS == {"built_in": {"list": [1]}}


def test_nothing_is_ever_written(layout):
    write(layout.files["default"], {"value": 1})
    before = {path: path.stat().st_mtime_ns for path in layout.folder.rglob("*")}
    manager = layout.manager()
    config.for_runtime().build_config()
    manager.explain()
    assert {path: path.stat().st_mtime_ns for path in layout.folder.rglob("*")} == before


@pytest.mark.posix_only  # the user database
def test_a_user_without_a_home_has_no_layer(layout, monkeypatch):
    write(layout.files["user"], {"value": 1})
    assert layout.manager().get_user_config().given == {"value": 1}

    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    import pwd

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert layout.manager().get_user_config_path() == ""
    assert layout.manager().get_user_config() is None
    assert layout.manager().build_config().given == {}


def test_an_adaptor_without_a_file_of_its_own_module_has_no_default_layer(layout, monkeypatch):
    monkeypatch.chdir(layout.folder)
    write(layout.folder / "Tool.json", {"value": "the folder that a command happens to run in"})
    manager = config.for_adaptor("Tool", None, AdaptorConfigurationOptions())
    assert os.path.exists("Tool.json") and manager.build_config().given == {}


def test_a_log_level_that_the_adaptors_class_has_built_in_takes_effect():
    class Quiet(AdaptorConfiguration):
        DEFAULTS = {**AdaptorConfiguration.DEFAULTS, "log_level": "WARNING"}

    assert config.log_level(Quiet({}), "DEBUG") == "WARNING"
    assert config.log_level(Quiet({"log_level": "ERROR"}), "DEBUG") == "ERROR"
    assert config.log_level(AdaptorConfiguration({}), "DEBUG") == "DEBUG"


def test_the_defaults_of_an_adaptors_class_need_no_log_level():
    class Threads(AdaptorConfiguration):
        DEFAULTS = {"threads": 4}

    assert Threads({}).log_level == "INFO" and config.log_level(Threads({}), "DEBUG") == "DEBUG"


@pytest.mark.posix_only  # links that lead in a circle: a file of which nobody can tell, not even root
def test_a_file_of_which_nobody_can_tell_whether_it_is_there_is_not_taken_for_none(tmp_path, monkeypatch):
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    monkeypatch.setenv("TOOL_CONFIG_PATH", str(circle / "Tool.json"))
    manager = config.for_adaptor("Tool", None, AdaptorConfigurationOptions())
    with pytest.raises(InputError, match="configuration .*Tool.json: Too many levels of symbolic links"):
        manager.build_config()
    with pytest.raises(InputError, match="schema .*circle.*: Too many levels of symbolic links"):
        data.schema_paths(str(circle))
    monkeypatch.delenv("TOOL_CONFIG_PATH")
    monkeypatch.setenv("HOME", str(circle))  # the home that sudo leaves is not a place of this user's
    assert config.for_adaptor("Tool", None, AdaptorConfigurationOptions()).build_config().given == {}


@pytest.mark.posix_only  # /dev/zero
def test_of_a_file_that_never_ends_no_more_is_read_than_may_be():
    with pytest.raises(InputError, match="^--init-data: /dev/zero: has more than 10485760 bytes$"):
        data.load("--init-data", "file:///dev/zero")
