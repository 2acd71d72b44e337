"""Data and configuration are checked by the schemas beside an adaptor; bad ones are one line and exit code 2."""

from __future__ import annotations

import copy
import json
import shutil

import pytest

from openjd_adapt import AdaptorDataValidator, AdaptorDataValidators, InputError
from openjd_adapt.schema import ValidationError

from .conftest import ADAPTORS

pytestmark = pytest.mark.once

INIT_DATA = {
    "type": "object",
    "properties": {
        "scene_file": {"type": "string"},
        "cameras": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
    "required": ["scene_file"],
}
RUN_DATA = {"type": "object", "properties": {"frame": {"type": "integer", "minimum": 1}}, "required": ["frame"]}
CONFIGURATION = {"properties": {"steps": {"type": "integer"}}}

GOOD_INIT = "scene_file: a.blend"


def write(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.fixture
def checked(farm):
    """A farm whose adaptor has schemas for everything."""
    folder = farm.folder / "adaptor"
    folder.mkdir()
    farm.adaptor = str(folder / "checked.py")
    shutil.copy(str(ADAPTORS / "checked.py"), farm.adaptor)
    farm.schemas = folder / "schemas"
    write(farm.schemas / "init_data.schema.json", INIT_DATA)
    write(farm.schemas / "run_data.schema.json", RUN_DATA)
    write(folder / "Checked.schema.json", CONFIGURATION)
    write(folder / "Checked.json", {"steps": 3})
    return farm


def refused(done, line, *shown):
    """One line, exit code 2, and the adaptor was not asked; the scheduler hears why, and nothing but ``shown``."""
    assert done.code == 2, done
    assert done.err.splitlines() == ["ERROR: " + line]
    assert done.lines == [*shown, "openjd_fail: " + line]


def test_good_data_pass_and_arrive_as_they_are(checked):
    done = checked("run", "--init-data", GOOD_INIT + "\nmore: [1, 1.0]", "--run-data", "{frame: 7}")
    assert done.code == 0, done
    shown = ["on_start {'scene_file': 'a.blend', 'more': [1, 1.0]}", "on_run {'frame': 7}", "on_stop", "on_cleanup"]
    assert done.lines == shown


def test_bad_init_data_are_refused_before_on_start_by_option_place_and_fault(checked):
    text = GOOD_INIT + "\ncameras:\n- name: a\n- name: 7"
    done = checked("run", "--init-data", text, "--run-data", "frame: 1")
    refused(done, "--init-data: cameras[1].name: 7 is not of type 'string'")


def test_bad_init_data_in_a_file_name_the_file_and_leave_no_daemon(checked):
    path = checked.folder / "init.yaml"
    path.write_text("scene_file: null\n")
    done = checked.daemon("start", "--init-data", "file://%s" % path)
    refused(done, "--init-data: %s: scene_file: None is not of type 'string'" % path)
    checked.wait_until_nothing_is_left()
    assert checked.daemon("stop").code == 0


def test_bad_run_data_are_refused_before_on_run_and_the_next_task_runs(checked):
    path = checked.folder / "run.json"
    path.write_text('{"frame": 0}')
    assert checked.daemon("start", "--init-data", GOOD_INIT).code == 0
    done = checked.daemon("run", "--run-data", "file://%s" % path)
    refused(done, "--run-data: %s: frame: 0 is less than the minimum of 1" % path)
    refused(checked.daemon("run"), "--run-data: 'frame' is a required property")
    done = checked.daemon("run", "--run-data", "frame: 2")
    assert (done.code, done.lines) == (0, ["on_run {'frame': 2}"])
    assert checked.daemon("stop").lines == ["on_stop", "on_cleanup"]


def test_bad_run_data_in_run_are_refused_before_anything_is_started(checked):
    done = checked("run", "--init-data", GOOD_INIT, "--run-data", "frame: x")
    refused(done, "--run-data: frame: 'x' is not of type 'integer'")


def test_an_adaptor_is_not_made_of_bad_init_data(checked):
    source = checked.folder / "adaptor" / "checked.py"
    source.write_text(
        source.read_text() + "    def __init__(self, init_data, **rest):\n"
        "        super().__init__(init_data, **rest)\n"
        "        self.scene = init_data['scene_file']\n"
    )
    done = checked("run", "--init-data", "{}", "--run-data", "frame: 1")
    refused(done, "--init-data: 'scene_file' is a required property")


def test_all_that_is_wrong_with_a_document_is_told_and_the_farm_hears_the_first(checked):
    write(checked.schemas / "run_data.schema.json", {**RUN_DATA, "additionalProperties": False})
    done = checked("run", "--init-data", "cameras: [{name: 7}, {name: 8}]", "--run-data", "frame: 1")
    first = "ERROR: --init-data: 'scene_file' is a required property"
    assert done.code == 2 and done.err.splitlines() == [first]
    others = ["ERROR: --init-data: cameras[%d].name: %d is not of type 'string'" % (n, 7 + n) for n in (0, 1)]
    assert done.lines == [*others, first.replace("ERROR", "openjd_fail")]
    write(checked.folder / "adaptor" / "Checked.json", {"steps": "x", "log_level": "INFO"})
    write(checked.folder / "adaptor" / "Checked.schema.json", {**CONFIGURATION, "required": ["a"]})
    done = checked("show-config")
    where = "ERROR: configuration %s: " % (checked.folder / "adaptor" / "Checked.json")
    told = ["'a' is a required property", "steps: 'x' is not of type 'integer'"]
    assert done.code == 2 and done.err.splitlines() == [where + text for text in told]


def test_an_adaptor_that_asks_for_it_gets_the_defaults_of_its_schemas(checked):
    source = checked.folder / "adaptor" / "checked.py"
    init = {"properties": {"cameras": {"items": {"properties": {"lens": {"default": 50}}}}}, "required": ["cameras"]}
    write(checked.schemas / "init_data.schema.json", init)
    run = {"properties": {"frame": {"type": "integer", "default": 1}}, "required": ["frame"]}
    write(checked.schemas / "run_data.schema.json", run)
    data = ["--init-data", "cameras: [{}, {lens: 35}]", "--run-data", "{}"]
    assert "'frame' is a required property" in checked("run", *data).err
    source.write_text(source.read_text().replace("    def on_start", "    apply_defaults = True\n\n    def on_start"))
    done = checked("run", *data)
    assert done.code == 0 and done.lines[:2] == [
        *("on_start {'cameras': [{'lens': 50}, {'lens': 35}]}", "on_run {'frame': 1}"),
    ]
    write(checked.schemas / "run_data.schema.json", {"properties": {"frame": {"type": "integer", "default": "x"}}})
    refused(checked("run", *data), "--run-data: frame: 'x' is not of type 'integer'")


@pytest.mark.parametrize(
    "words, line",
    [
        (["--each", "fram=1-2"], "--each: 'frame' is a required property"),
        (["--run-data", "{b: 1}", "--each", "a=1"], "--run-data and --each: 'frame' is a required property"),
        (["--init-data", "{}"], "--init-data: 'scene_file' is a required property"),
    ],
)
def test_a_session_names_what_the_user_gave_and_no_file_of_its_own(checked, words, line):
    done = checked("session", *(words if "--init-data" in words else ["--init-data", GOOD_INIT, *words]))
    assert done.code == 2 and done.lines.count("ERROR: " + line) == done.lines.count("openjd_fail: " + line) == 1, done
    assert "-data.json" not in done.out + done.err


def test_one_schema_alone_is_enough(checked):
    (checked.schemas / "init_data.schema.json").unlink()
    done = checked("run", "--run-data", "frame: 0")
    refused(done, "--run-data: frame: 0 is less than the minimum of 1")


@pytest.mark.parametrize("kind", ["init_data", pytest.param("run_data", marks=pytest.mark.long)])
def test_a_schema_that_is_wrong_or_not_supported_fails_the_start(checked, kind):
    path = checked.schemas / (kind + ".schema.json")
    write(path, {"type": "text"})
    done = checked("run", "--init-data", GOOD_INIT, "--run-data", "frame: 1")
    assert done.code == 2 and "on_start" not in done.out, done
    assert done.err.startswith("ERROR: schema %s: type: must be one of null, boolean, " % path)


@pytest.mark.parametrize("layer", [pytest.param("own", marks=pytest.mark.long), "command line"])
def test_every_layer_of_the_configuration_must_fulfil_its_schema(checked, layer):
    path = checked.folder / ("adaptor/Checked.json" if layer == "own" else "more.json")
    write(path, {"steps": "many"})
    done = checked("run", "--init-data", GOOD_INIT, "--run-data", "frame: 1", "--config", str(path))
    refused(done, "configuration %s: steps: 'many' is not of type 'integer'" % path, "on_cleanup")


def test_the_configurations_schema_may_lie_in_the_folder_that_the_environment_names(checked):
    write(checked.folder / "elsewhere" / "Checked.schema.json", {"required": ["speed"]})
    checked.env["ADAPTOR_CONFIG_SCHEMA_PATH"] = str(checked.folder / "elsewhere")
    own = checked.folder / "adaptor" / "Checked.json"
    done = checked("show-config")  # which is no action's
    assert (done.code, done.out) == (2, "")
    assert done.err == "ERROR: configuration %s: 'speed' is a required property\n" % own


# The classes


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "init_data.schema.json", INIT_DATA)
    write(tmp_path / "run_data.schema.json", RUN_DATA)
    return tmp_path


def test_validators_take_objects_texts_and_files(folder):
    validators = AdaptorDataValidators.for_adaptor(str(folder))
    (folder / "init.yaml").write_text(GOOD_INIT)
    for data in ({"scene_file": "a.blend"}, '{"scene_file": "a.blend"}', GOOD_INIT, "file://%s/init.yaml" % folder):
        validators.init_data.validate(data)
    validators.run_data.validate({"frame": 1})


def test_bad_data_are_an_input_error_and_a_validation_error_at_once(folder):
    validators = AdaptorDataValidators.for_adaptor(str(folder))
    with pytest.raises(ValidationError) as caught:
        validators.run_data.validate("frame: 0")
    error = caught.value
    assert isinstance(error, InputError) and error.exit_code == 2
    assert str(copy.copy(error)) == str(error)
    assert str(error) == "data: frame: 0 is less than the minimum of 1"
    assert error.message == "0 is less than the minimum of 1"
    assert (error.path, error.schema_path, error.instance) == (("frame",), ("properties", "frame", "minimum"), 0)
    (folder / "run.yaml").write_text("frame: 0")
    with pytest.raises(InputError) as caught:
        validators.run_data.validate("file://%s/run.yaml" % folder)
    assert str(caught.value) == "data: %s/run.yaml: frame: 0 is less than the minimum of 1" % folder


@pytest.mark.parametrize(
    "data, complaint",
    [
        ("[", "data: is neither JSON"),
        ("- a", "data: must be an object, not a list"),
        ("file:///no/file", "data: /no/file: No such file or directory"),
    ],
)
def test_data_that_cannot_be_read_are_an_input_error(data, complaint):
    with pytest.raises(InputError) as caught:
        AdaptorDataValidator({}).validate(data)
    assert str(caught.value).startswith(complaint)


def test_a_reference_that_leads_back_to_itself_is_the_schemas_fault():
    validator = AdaptorDataValidator({"$ref": "#"}, "schema init_data.schema.json")
    with pytest.raises(InputError) as caught:
        validator.validate({})
    assert str(caught.value) == "schema init_data.schema.json: ['$ref']: '#' leads back to itself"


@pytest.mark.parametrize("kind", ["init_data", "run_data"])
@pytest.mark.parametrize(
    "schema, complaint",
    [
        ("{", "is not JSON: line 1, column 2"),
        ({"type": "text"}, "type: must be one of null, boolean, "),
        ({"properties": {"a": {"unevaluatedItems": False}}}, "properties.a.unevaluatedItems: is not supported"),
        ({"$ref": "https://example.com/more.json"}, "'https://example.com/more.json' leads out of this document"),
    ],
)
def test_a_schema_that_is_wrong_or_not_supported_is_named_with_its_fault(folder, kind, schema, complaint):
    path = folder / (kind + ".schema.json")
    write(path, schema)
    with pytest.raises(InputError) as caught:
        AdaptorDataValidators.for_adaptor(str(folder))
    assert str(caught.value).startswith("schema %s: " % path) and complaint in str(caught.value)


def test_both_schemas_must_be_there_for_an_adaptor_that_asks_for_both(folder):
    (folder / "run_data.schema.json").unlink()
    with pytest.raises(InputError, match="schema .*run_data.schema.json: No such file or directory"):
        AdaptorDataValidators.for_adaptor(str(folder))
