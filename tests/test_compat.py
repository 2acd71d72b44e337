"""The shim that gives adaptors the reference's import names, and the command that runs them with it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

import openjd_adapt
from openjd_adapt import Adaptor, AdaptorRunner, ClientInterface

from .conftest import ADAPTORS, HANG_SECONDS, ROOT, missing, module, read_until

pytestmark = pytest.mark.core

COMPAT = ROOT / "openjd_adapt" / "compat"
FILES = sorted(COMPAT.rglob("*.py"))
RULES = json.dumps(
    {
        "version": "pathmapping-1.0",
        "path_mapping_rules": [{"source_path_format": "POSIX", "source_path": "/a", "destination_path": "/b"}],
    }
)


@pytest.fixture
def published(farm):
    """A farm whose adaptor is written for the reference, as published ones are, and is started by its own command."""
    farm.env["PYTHONPATH"] = str(ADAPTORS)
    boot = "import runpy, sys; sys.path.insert(0, %r); sys.argv[0] = 'openjd_adapt'; " % str(ROOT)
    compat = [sys.executable, "-c", boot + "runpy.run_module('openjd_adapt', run_name='__main__')", "compat", "--"]
    farm.command = lambda *arguments: [*compat, sys.executable, "-m", "published", *arguments]
    return farm


def run(code: str, *folders, cwd=None, **variables) -> str:
    """The output of a Python program that finds nothing but what lies in ``folders``."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in folders),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    out = subprocess.check_output(
        [sys.executable, "-c", code], env=environment, cwd=str(cwd or os.path.abspath(os.sep)), timeout=HANG_SECONDS
    )
    return out.decode().strip()


# The command


def compat(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "openjd_adapt", "compat", *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": str(ROOT), **options}
    return subprocess.run(command, timeout=HANG_SECONDS, **options)


def test_compat_alone_prints_the_folder_for_pythonpath():
    done = compat()
    assert (done.returncode, done.stdout.decode().strip()) == (0, str(COMPAT))


def test_a_command_gets_the_folder_first_in_pythonpath_and_its_exit_code_is_returned():
    code = "import os, sys; print(os.environ['PYTHONPATH']); sys.exit(7)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["one", str(COMPAT), "two"])}
    done = compat("--", sys.executable, "-c", code, env=environment)
    assert done.returncode == 7
    assert done.stdout.decode().strip() == os.pathsep.join([str(COMPAT), "one", "two"])


@pytest.mark.posix_only
def test_signals_reach_the_command():
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); "
        "print('up', flush=True); signal.pause()"
    )
    command = [sys.executable, "-m", "openjd_adapt", "compat", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, cwd=str(ROOT)) as process:
        read_until(process.stdout, "up")
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 9


@pytest.mark.parametrize("arguments", [["blender"], ["--"], ["x", "--", "y"]])
@pytest.mark.once
def test_anything_but_a_command_behind_two_hyphens_is_bad_usage(arguments):
    done = compat(*arguments)
    assert done.returncode == 2 and len(done.stderr.decode().splitlines()) == 1
    assert done.stderr.startswith(b"ERROR: compat: give nothing, or -- and a command")


@pytest.mark.once
def test_a_command_that_is_not_there_is_told_in_one_line():
    done = compat("--", "no-such-command")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("ERROR: compat: cannot run no-such-command: ")
    assert len(done.stderr.decode().splitlines()) == 1


@pytest.mark.once
def test_what_stands_behind_the_hyphens_is_the_commands_own():
    done = compat("--", "no-such-command", "--debug", "--help", "--", "-h")
    assert done.returncode == 1 and len(done.stderr.decode().splitlines()) == 1
    done = compat("--", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--help", "--", "-h")
    assert done.stdout.decode().strip() == "['--help', '--', '-h']"


@pytest.mark.parametrize("command", ["new", "compat"])
@pytest.mark.once
def test_an_adaptors_own_command_line_has_none_that_is_about_no_adaptor(farm, command):
    done = farm(command, "x")
    told = f"ERROR: {command} is about no adaptor: python -m openjd_adapt {command}"
    assert done.code == 2 and done.err.splitlines() == [told]
    assert "\n    %s " % command not in farm("--help").out


@pytest.mark.once
def test_the_packages_help_names_the_command():
    command = [sys.executable, "-m", "openjd_adapt", "--help"]
    out = subprocess.check_output(command, cwd=str(ROOT), timeout=HANG_SECONDS).decode()
    assert "compat -- COMMAND" in " ".join(out.split())


# Adaptors that are not ported


@pytest.mark.posix_only
def test_an_adaptor_that_was_written_for_the_reference_runs(published):
    init = ("--init-data", '{"scene": "/a/x"}', "--path-mapping-rules", RULES)
    done = published("run", *init, "--run-data", '{"frame": 7}')
    assert done.code == 0, done
    assert [line for line in done.lines if not line.startswith(("INFO", "STDOUT: Performing"))] == [
        "STDOUT: Mapped the path /a/x to /b/x",
        "STDOUT: opened /b/x /b/x",
        "STDOUT: done 50%",
        "openjd_progress: 50",
        "STDOUT: finished frame 7",
        "openjd_status: frame 7",
        "STDOUT: closed",
        "STDOUT: left",
    ]


@pytest.mark.posix_only
@pytest.mark.once
def test_its_daemon_is_reached_again_by_the_same_command(published):
    done = published.daemon("start", "--init-data", '{"scene": "/a/x"}')
    assert done.code == 0, done
    lines = done.lines
    for frame in (1, 2):
        done = published.daemon("run", "--run-data", '{"frame": %d}' % frame)
        assert done.code == 0 and "openjd_status: frame %d" % frame in done.lines, done
        lines += done.lines
    assert "STDOUT: opened /a/x /a/x" in lines
    done = published.daemon("run", "--run-data", '{"frame": 3, "complain": true}')
    assert done.code == 1 and done.lines[-1] == "openjd_fail: RuntimeError: the application said: no licence", done
    done = published.daemon("stop")
    assert done.code == 0 and done.lines[-2:] == ["STDOUT: closed", "STDOUT: left"], done


@pytest.mark.posix_only
@pytest.mark.once
def test_a_cancel_reaches_its_on_cancel(published):
    command = published.popen("run", "--init-data", '{"scene": "x"}', "--run-data", '{"frame": 1, "hang": true}')
    read_until(command.stdout, "openjd_progress: 1")
    command.send_signal(signal.SIGTERM)
    assert published.finish(command).code == 4


@pytest.mark.once
def test_bad_data_are_found_by_its_schemas_before_it_starts(published):
    done = published("run", "--init-data", '{"scene": 1}')
    assert done.code == 2
    assert "--init-data: scene: 1 is not of type 'string'" in done.out + done.err
    assert "Traceback" not in done.out + done.err


@pytest.mark.posix_only
def test_the_shim_wins_over_an_installed_reference_and_says_so_once(published):
    other = published.folder / "site" / "openjd" / "adaptor_runtime"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('the other one')")
    published.env["PYTHONPATH"] += os.pathsep + str(published.folder / "site")
    done = published("run", "--init-data", '{"scene": "x"}', "--run-data", '{"frame": 7}')
    assert done.code == 0, done
    told = "INFO: openjd_adapt %s (%s) serves as openjd.adaptor_runtime, and not the package in %s"
    assert done.lines.count(told % (openjd_adapt.__version__, ROOT / "openjd_adapt", other)) == 1, done


@pytest.mark.once
def test_the_entry_points_timeout_limits_no_start():
    """In the reference it bounds each request to a daemon, so that adaptors give it a value of seconds."""
    code = (
        "import sys, published.adaptor; from unittest import mock; from openjd.adaptor_runtime import EntryPoint\n"
        "import openjd_adapt.app; sys.argv[1:] = ['version-info']\n"
        "with mock.patch('openjd_adapt.app.App', wraps=openjd_adapt.app.App) as App:\n"
        "    EntryPoint(published.adaptor.Published).start(reentry_exe='/x', timeout_in_seconds=5)\n"
        "print(App.call_args[0][3:5])"
    )
    assert run(code, COMPAT, ADAPTORS).splitlines()[-1] == "('/x', None)"


# How the shim finds the toolkit


CLIENT = "import %s as m; print(m.ClientInterface.__module__, m.__name__)"


@pytest.mark.parametrize("name", ["adaptor_runtime_client", "openjd.adaptor_runtime_client"])
def test_an_application_imports_the_client_by_either_name(tmp_path, name):
    folder = COMPAT / "openjd" if name == "adaptor_runtime_client" else COMPAT
    assert run(CLIENT % name, folder, cwd=tmp_path) == "openjd_adapt.client %s" % name


PARTS = ["", ".adaptors", ".adaptors.configuration", ".app_handlers", ".application_ipc", ".process", "._utils"]


def test_an_adaptor_may_import_without_openjd_too_what_an_application_finds_so(tmp_path):
    """Each part as the first one that is imported."""
    code = (
        "import sys; from importlib import import_module\n"
        "before = set(sys.modules)\n"
        "for part in %r:\n"
        "    module = import_module('adaptor_runtime' + part)\n"
        "    print(module.__name__, module.__all__ != [], 'openjd' in sys.modules)\n"
        "    for name in set(sys.modules) - before:\n"
        "        if name.startswith(('adaptor_runtime', 'openjd')): del sys.modules[name]"
    ) % PARTS
    assert run(code, COMPAT / "openjd", cwd=tmp_path).splitlines() == [
        "adaptor_runtime%s True False" % part for part in PARTS
    ]


def test_what_the_reference_has_as_dataclasses_costs_no_import_of_them():
    code = (
        "import sys; from openjd_adapt import Action, AdaptorConfigurationOptions, PathMappingRule, RegexCallback\n"
        "print(Action('a', {}) == Action('a', {}) != Action('b', {}), 'dataclasses' in sys.modules)"
    )
    assert run(code, ROOT) == "True False"


def test_the_two_names_give_the_same_classes(tmp_path):
    code = (
        "import adaptor_runtime_client as a, openjd.adaptor_runtime_client as b, openjd.adaptor_runtime.adaptors as c\n"
        "from openjd.adaptor_runtime_client.win_client_interface import WinClientInterface as d\n"
        "print(a.ClientInterface is b.ClientInterface is d, a.PathMappingRule is c.PathMappingRule)"
    )
    assert run(code, COMPAT, COMPAT / "openjd", cwd=tmp_path) == "True True"


def test_nothing_else_becomes_importable(tmp_path):
    code = "import sys; before = list(sys.path); import adaptor_runtime_client; print(before == sys.path)"
    assert run(code, COMPAT / "openjd", cwd=tmp_path) == "True"


def test_other_packages_of_the_namespace_stay_importable(tmp_path):
    (tmp_path / "openjd" / "model").mkdir(parents=True)
    (tmp_path / "openjd" / "model" / "__init__.py").write_text("name = 'model'")
    code = "import openjd.adaptor_runtime, openjd.model; print(openjd.model.name)"
    assert run(code, COMPAT, tmp_path) == run(code, tmp_path, COMPAT) == "model"


@pytest.fixture
def vendored(tmp_path):
    target = tmp_path / "studio" / "_vendor" / "toolkit"
    ignored = shutil.ignore_patterns("__pycache__")
    # Wine has no CopyFile2, which Python 3.13 copies by.
    shutil.copytree(str(ROOT / "openjd_adapt"), str(target), ignore=ignored, copy_function=shutil.copyfile)
    return target


@pytest.mark.once
def test_a_vendored_copys_shim_uses_the_copy_as_it_was_imported(vendored, tmp_path):
    code = (
        "import studio._vendor.toolkit as t, openjd.adaptor_runtime.adaptors as a\n"
        "print(a.Adaptor is t.Adaptor, a.Adaptor.__module__)"
    )
    assert run(code, tmp_path, vendored / "compat") == "True studio._vendor.toolkit.adaptor"


def test_a_vendored_copys_shim_works_where_the_copy_was_not_imported(vendored):
    code = (
        "import sys, openjd.adaptor_runtime.process as p; print(sys.modules[p.LoggingSubprocess.__module__].__file__)"
    )
    assert run(code, vendored / "compat") == str(vendored / "process.py")


@pytest.mark.once
def test_a_vendored_copys_shim_keeps_to_its_copy_beside_another_one(vendored):
    code = (
        "import sys, openjd_adapt, openjd.adaptor_runtime.process as p\n"
        "print(sys.modules[p.LoggingSubprocess.__module__].__file__, sys.modules['openjd_adapt'].__file__)"
    )
    assert run(code, vendored / "compat", ROOT).split() == [
        str(vendored / "process.py"),
        str(ROOT / "openjd_adapt" / "__init__.py"),
    ]


# jsonschema


VALIDATE = """
import sys; sys.modules["jsonschema"] = None
from openjd.adaptor_runtime.adaptors import AdaptorDataValidator
try:
    AdaptorDataValidator({"type": "object", "required": ["a"]}).validate({})
except Exception as error:
    print(error.message, "|", error)
try:
    AdaptorDataValidator({"type": "nonsense"})
except ValueError as error:
    print(type(error).__name__)
"""


@pytest.mark.once
def test_without_jsonschema_the_errors_are_the_toolkits():
    first, second = run(VALIDATE, COMPAT).splitlines()
    assert first == "'a' is a required property | data: 'a' is a required property"
    assert second == "SchemaError"


@pytest.mark.once
def test_jsonschema_is_loaded_only_for_an_error(tmp_path):
    (tmp_path / "jsonschema.py").write_text("print('loaded')\nimport sys; sys.exit(3)")
    code = "from openjd.adaptor_runtime.adaptors import AdaptorDataValidator as A; A({}).validate({}); print('valid')"
    assert run(code, COMPAT, tmp_path) == "valid"


# What the files are


def test_every_name_can_be_imported_from_the_toolkit_itself():
    code = (
        "import json; from importlib import import_module\n"
        "parts = ['', '.adaptors', '.adaptors.configuration', '.app_handlers', '.application_ipc', '.process']\n"
        "modules = [import_module('openjd.adaptor_runtime' + part) for part in parts]\n"
        "modules += [import_module('openjd.adaptor_runtime_client')]\n"
        "print(json.dumps([name for module in modules for name in module.__all__]))"
    )
    names = set(json.loads(run(code, COMPAT)))
    assert len(names) > 20 and names - set(openjd_adapt.__all__) == {"HTTPClientInterface"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(COMPAT)))
def test_a_file_of_the_shim_hands_on_and_imports_relatively(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree).count("\n") == 0
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.split(".")[0] != "openjd_adapt" and node.module.split(".")[0] != "openjd"


def test_openjd_stays_a_namespace_package():
    assert FILES and not (COMPAT / "openjd" / "__init__.py").exists() and not (COMPAT / "__init__.py").exists()


@pytest.mark.long
def test_a_wheel_has_every_file_of_the_shim():
    setuptools = module("setuptools")
    if not hasattr(setuptools, "find_namespace_packages"):
        pytest.skip(missing("setuptools"))
    packages = setuptools.find_namespace_packages(
        str(ROOT), include=["openjd_adapt", "openjd_adapt.*"], exclude=["*.__pycache__"]
    )
    assert {path.parent for path in FILES} <= {ROOT.joinpath(*name.split(".")) for name in packages}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'include = ["openjd_adapt", "openjd_adapt.*"]\nexclude = ["*.__pycache__"]' in text


#: What the adaptors and clients for Blender, Cinema 4D, Houdini, 3ds Max, Maya, Nuke and Unreal on PyPI (November 2026)
#: name on their classes and objects, as far as it begins with an underscore.
THEIRS = """
    _BLENDER_END_TIMEOUT_SECONDS _BLENDER_START_TIMEOUT_SECONDS _CINEMA4D_END_TIMEOUT_SECONDS
    _CINEMA4D_START_TIMEOUT_SECONDS _HOUDINI_END_TIMEOUT_SECONDS _HOUDINI_START_TIMEOUT_SECONDS
    _MAX_END_TIMEOUT_SECONDS _MAX_START_TIMEOUT_SECONDS _MAYA_END_TIMEOUT_SECONDS _MAYA_START_TIMEOUT_SECONDS
    _NUKE_END_TIMEOUT_SECONDS _NUKE_START_TIMEOUT_SECONDS _SERVER_END_TIMEOUT_SECONDS
    _SERVER_START_TIMEOUT_SECONDS _TILE_KEYS _UNREAL_END_TIMEOUT_SECONDS _UNREAL_START_TIMEOUT_SECONDS
    _action_from_action_item _action_queue _activate_error_checking _add_deadline_openjd_paths _arnold_temp_dir
    _blender_client _blender_is_rendering _blender_is_running _blender_version _build_assemble_tiles_data
    _build_start_render_data _cinema4d_client _cinema4d_is_rendering _cinema4d_is_running _cleanup_arnold_dir
    _csv_capture_frames _curr_output _dump_max_log_on_error _exc_info _executable_handler _expected_outputs
    _extract_csv_capture_frames_arg _extract_insights_arg _extract_memreport_arg _get_cinema4d_pathmap
    _get_deadline_telemetry_client _get_houdini_client_path _get_or_create_trace_directory _get_regex_callbacks
    _get_startup_trace_file _get_timer _get_tracefile_arg _handle_arnold_license_error _handle_complete
    _handle_error _handle_houdini_version _handle_insufficient_ram _handle_legacy_render_layer_error
    _handle_license_error _handle_logging _handle_maya_version _handle_nvidia_driver_error
    _handle_output_complete _handle_progress _handle_redshift_license_error
    _handle_redshift_render_license_abort _handle_renderman_license_error _handle_unnamed_render_failure
    _handle_unreal_engine_version _handle_version _handle_vray_license_error _has_exception _houdini_client
    _houdini_is_rendering _houdini_is_running _houdini_version _initialize_maxon_assets_db_connection
    _insights_categories _is_rendering _map_ocio_config _max_client _max_is_rendering _max_is_running
    _maya_client _maya_is_rendering _maya_is_running _maya_version _maybe_submit_renders_to_perforce
    _memreport_enabled _nuke_client _nuke_is_running _nuke_version _path_mapping_rules _perform_action
    _performing_cleanup _populate_action_queue _populate_client_loaded_action
    _print_adaptor_and_submitter_versions _produced_outputs _record_error_and_raise _record_exception
    _record_license_error _regex_callbacks _render_handler _request_next_action _server _server_thread
    _set_houdini_pathmap _set_redshift_pathmap _setup_arnold_pathmapping _snapshot_output_files
    _start_blender_client _start_blender_server _start_blender_server_thread _start_cinema4d_client
    _start_cinema4d_server _start_cinema4d_server_thread _start_houdini_client _start_houdini_server
    _start_houdini_server_thread _start_max_client _start_max_server _start_max_server_thread _start_maya_client
    _start_maya_server _start_maya_server_thread _start_nuke_client _start_nuke_server_thread
    _start_unreal_client _start_unreal_server _start_unreal_server_thread _startup_insights_trace_file
    _telemetry_client _total_outputs _unreal_client _unreal_is_rendering _unreal_is_running _validators
    _wait_for_adaptor_server_socket _wait_for_server _wait_for_socket _wait_for_unreal_started
    _which_rule_applies
"""


class Mine(Adaptor):
    def on_run(self, run_data):
        pass


def test_no_inner_name_of_ours_is_one_of_a_published_adaptor():
    adaptor = Mine({})
    client = ClientInterface("/nowhere")
    ours = {name for item in (adaptor, client) for name in (*dir(item), *vars(AdaptorRunner(adaptor=adaptor)))}
    hooks = {"_path_mapping_rules", "_request_next_action", "_perform_action"}  # used as the reference has them
    assert {name for name in ours & set(THEIRS.split()) if not name.startswith("__")} == hooks
