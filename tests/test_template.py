"""Job templates made of an adaptor's schemas: ``openjd check`` accepts them, and ``openjd run`` runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from openjd_adapt import Adaptor, InputError, yaml
from openjd_adapt.authoring import template
from openjd_adapt.data import INIT_DATA, RUN_DATA
from openjd_adapt.schema import Validator

from .conftest import CORPUS, ROOT, missing, module, tool

pytestmark = pytest.mark.once

PROBE = """
import json
from openjd_adapt import Adaptor

class Tells(Adaptor):
    def on_start(self):
        print("init", json.dumps(self.init_data, sort_keys=True))

    def on_run(self, run_data):
        print("run", json.dumps(run_data, sort_keys=True))
"""
DRAFT_07 = "http://json-schema.org/draft-07/schema#"
AWKWARD = 'it\'s "C:\\new" #1: {x} % - \U0001f600 ä'


@pytest.fixture
def adaptor(farm):
    """Writes an adaptor that tells its data, with schemas of these properties, all required; returns its template."""

    def write(init, run, **more):
        farm.adaptor = str(farm.folder / "tells.py")
        (farm.folder / "tells.py").write_text(PROBE)
        (farm.folder / "schemas").mkdir()
        for name, properties in (("init_data", init), ("run_data", run)):
            schema = {"type": "object", "properties": properties, "required": list(properties), **more}
            (farm.folder / "schemas" / (name + ".schema.json")).write_text(json.dumps(schema))
        done = farm("template")
        assert done.code == 0 and done.err == "", done
        (farm.folder / "job.yaml").write_text(done.out, encoding="ascii")
        return yaml.loads(done.out)

    return write


def documents(init, run):
    return {INIT_DATA: Validator(init), RUN_DATA: Validator(run)}


def check(text):
    """As ``openjd check``."""
    model = module("openjd.model")
    model.decode_job_template(template=yaml.loads(text), supported_extensions=["TASK_CHUNKING"])


def openjd(farm, *words):
    return subprocess.run(
        [tool("openjd"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(farm.folder), "LANG": "C.UTF-8"},
        encoding="utf-8",
    )


def told(text, word):
    """What the adaptor has told in a log of ``openjd run``, each once."""
    return [json.loads(data) for data in re.findall(r"\t%s (\{.*\})" % word, text)]


def test_openjd_runs_it_from_anywhere_with_every_kind_of_data_passed_as_it_is(adaptor, farm, tmp_path):
    adaptor(
        {
            "title": {"type": "string", "default": AWKWARD, "description": 'Said "of" a \U0001f600:\nscene'},
            "width": {"type": "integer", "minimum": 1, "maximum": 4096, "default": 640},
            "scale": {"type": "number", "default": 0.5, "minimum": 0},
            "draft": {"type": "boolean", "default": True},
            "passes": {"type": "array", "default": ["beauty", "z: depth"]},
            "mode": {"type": "string", "enum": ["fast", "no"], "default": "no"},
            "on": {"default": None},
            "odd key-1": {"type": "integer", "default": 3},
        },
        {"frame": {"type": "integer", "minimum": 0}, "eye": {"type": "string", "default": "left"}},
    )
    checked = openjd(farm, "check", str(farm.folder / "job.yaml"))
    assert checked.returncode == 0, checked.stdout
    ran = openjd(farm, "run", str(farm.folder / "job.yaml"), "-p", "FrameRange=1-5:2")
    assert ran.returncode == 0, ran.stdout
    assert told(ran.stdout, "init") == [
        {
            "title": AWKWARD,
            "width": 640,
            "scale": 0.5,
            "draft": True,
            "passes": ["beauty", "z: depth"],
            "mode": "no",
            "on": None,
            "odd key-1": 3,
        }
    ]
    assert told(ran.stdout, "run") == [{"frame": frame, "eye": "left"} for frame in (1, 3, 5)]


@pytest.mark.parametrize(
    "form, chunks",
    [
        ("range", ["1-3", "5,9"]),
        pytest.param("contiguous-range", ["1-3", "5-5", "9-9"], marks=pytest.mark.long),
    ],
)
def test_a_range_is_run_in_chunks(adaptor, farm, form, chunks):
    frames = {"type": "string", "format": form}
    adaptor({}, {"frames": frames, "eye": {"type": "integer", "minimum": 0, "maximum": 1}, "more": frames})
    words = ["-p", "Frames=1-3,5,9", "-p", "ChunkSize=3", "-p", "More=1-2"]
    ran = openjd(farm, "run", str(farm.folder / "job.yaml"), *words)
    assert ran.returncode == 0, ran.stdout
    found = sorted((data["eye"], data["frames"], data["more"]) for data in told(ran.stdout, "run"))
    assert found == [(eye, chunk, "1-2") for eye in (0, 1) for chunk in chunks]


@pytest.mark.parametrize(
    "facts, default",
    [
        ({}, "1-30"),
        ({"default": "1-5"}, "1-5"),
        ({"default": "all"}, "1-30"),
        ({"pattern": "^[0-9]$"}, None),
    ],
)
def test_the_default_of_chunks_is_a_range_that_the_schema_allows(facts, default):
    schema = {"properties": {"frames": {"type": "string", "format": "range", **facts}}, "required": ["frames"]}
    job = yaml.loads(template.make("X", ["python"], [], documents({}, schema)))
    assert job["extensions"] == ["TASK_CHUNKING"] and job["parameterDefinitions"][0].get("default") == default


def test_every_combination_of_whole_numbers_is_a_task(adaptor, farm):
    adaptor({}, {"y": {"type": "integer", "maximum": 2}, "x": {"type": "integer", "default": 7}})
    ran = openjd(farm, "run", str(farm.folder / "job.yaml"))
    assert ran.returncode == 0, ran.stdout
    found = [(data["y"], data["x"]) for data in told(ran.stdout, "run")]
    assert sorted(found) == [(y, x) for y in (1, 2) for x in (7, 8, 9)]


def test_an_adaptor_without_schemas_has_one_task_with_no_data_and_the_template_says_so(farm):
    farm.adaptor = str(farm.folder / "tells.py") + ":Tells"
    (farm.folder / "tells.py").write_text(PROBE)
    text = farm("template").out
    (farm.folder / "job.yaml").write_text(text)
    assert re.findall("^# .*", text, re.M) == [
        "# No %s data: there is no schemas/%s_data.schema.json beside the adaptor." % (kind, kind)
        for kind in ("init", "run")
    ]
    ran = openjd(farm, "run", str(farm.folder / "job.yaml"))
    assert ran.returncode == 0 and told(ran.stdout, "init") == told(ran.stdout, "run") == [{}], ran.stdout


@pytest.mark.parametrize(
    "example", ["mandelbrot/mandelbrot.py", "transcode/transcode.py", "blender/blender_adaptor.py"]
)
def test_the_templates_of_the_examples_pass_the_check(farm, example):
    farm.adaptor = str(ROOT / "examples" / example)
    (farm.folder / "job.yaml").write_text(farm("template").out)
    checked = openjd(farm, "check", str(farm.folder / "job.yaml"))
    assert checked.returncode == 0, checked.stdout


def test_bounds_choices_and_descriptions_become_the_parameters(adaptor):
    job = adaptor(
        {
            "width": {"type": "integer", "minimum": 1, "maximum": 9},
            "name": {"type": "string", "minLength": 2, "maxLength": 5, "description": "A name."},
            "path": {"type": "string", "format": "path", "minLength": 1},
            "mode": {"enum": ["a", "b"], "type": "string"},
        },
        {},
    )
    found = {parameter.pop("name"): parameter for parameter in job["parameterDefinitions"]}
    assert found["Width"] == {"type": "INT", "minValue": 1, "maxValue": 9}
    assert found["Name"] == {"type": "STRING", "minLength": 2, "maxLength": 5, "description": "A name."}
    assert found["Path"] == {"type": "PATH", "minLength": 1}
    assert found["Mode"] == {"type": "STRING", "allowedValues": ["a", "b"]}
    assert found["Python"]["default"] == sys.executable and str(ROOT) in found["PythonPath"]["default"]


def test_bounds_that_a_job_cannot_have_are_rounded_or_left_out(adaptor, farm):
    adaptor(
        {"samples": {"type": "integer", "minimum": 0.5, "maximum": 9.0}, "empty": {"type": "string", "maxLength": 0}},
        {},
    )
    found = yaml.loads((farm.folder / "job.yaml").read_text())["parameterDefinitions"]
    assert [fact.get("minValue", fact.get("maxLength")) for fact in found[:2]] == [1, None]
    assert found[0]["maxValue"] == 9 and type(found[0]["maxValue"]) is int
    done = openjd(farm, "check", str(farm.folder / "job.yaml"))
    assert done.returncode == 0, done.stdout


def test_what_is_neither_required_nor_has_a_default_is_not_passed(farm):
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "x"}, "\xe4\n": {}}}
    text = template.make("X", ["python"], [], documents(schema, {}))
    assert "\n# Left out of the init data, neither required nor with a default: a, \\u00e4\\n.\n" in text
    job = yaml.loads(text)
    assert [parameter["name"] for parameter in job["parameterDefinitions"]] == ["B", "Python"]


def test_a_bound_of_a_task_is_the_schedulers_too_and_a_daemon_that_nobody_stops_ends_in_a_day():
    class Bounded(Adaptor):
        run_timeout = 7199.5

        def on_run(self, run_data):
            pass

    [step] = yaml.loads(template.of_adaptor("Bounded", ["python"], Bounded))["steps"]
    assert step["script"]["actions"]["onRun"]["timeout"] == 7200 + 180
    start = step["stepEnvironments"][0]["script"]["actions"]["onEnter"]["args"]
    assert start[start.index("--idle-timeout") + 1] == "86400"


def test_no_two_parameters_have_one_name():
    keys = {"a_b": {}, "a b": {}, "python": {}, "1": {}, "é": {}, "frame range": {}}
    schema = {"properties": keys, "required": list(keys)}
    run = {"properties": {"frame": {"type": "integer"}}, "required": ["frame", "unheard_of"]}
    job = yaml.loads(template.make("X", ["python"], ["/x"], documents(schema, run)))
    names = [parameter["name"] for parameter in job["parameterDefinitions"]]
    assert names == [
        "AB",
        "AB2",
        "Python2",
        "Data1",
        "Data",
        "FrameRange",
        "FrameRange2",
        "UnheardOf",
        "Python",
        "PythonPath",
    ]


@pytest.mark.parametrize(
    "facts, numbers",
    [
        ({}, "1-3"),
        ({"default": 7}, "7-9"),
        ({"default": None}, "1-3"),
        ({"minimum": 0}, "0-2"),
        ({"maximum": 0}, "0-0"),
        ({"maximum": 2}, "1-2"),
        ({"minimum": 5, "maximum": 5}, "5-5"),
        ({"exclusiveMinimum": 5}, "6-8"),
        ({"exclusiveMaximum": 3}, "1-2"),
        ({"enum": [10, 20, 40, 80]}, "10,20,40"),
        ({"enum": [4.0, 5.0]}, "4-5"),
        ({"default": 5.0}, "5-7"),
        ({"minimum": 7, "multipleOf": 5}, "10-20:5"),
        ({"default": 7, "maximum": 5}, "1-3"),
        ({"minimum": 0, "not": {"enum": [1, 2]}}, "0,3,4"),
    ],
)
def test_the_default_of_a_range_keeps_to_the_schema(facts, numbers):
    schema = {"properties": {"frame": {"type": "integer", **facts}}, "required": ["frame"]}
    job = yaml.loads(template.make("X", ["python"], [], documents({}, schema)))
    assert job["parameterDefinitions"][0]["default"] == numbers


def test_what_openjd_would_refuse_is_left_out():
    facts = {"a": {"type": "integer", "default": None}, "b": {"type": "string", "description": "", "enum": ["x", None]}}
    schema = {"properties": facts, "required": ["a", "b"]}
    job = yaml.loads(template.make("X", ["python"], [], documents(schema, {})))
    first, second, _ = job["parameterDefinitions"]
    assert first == {"name": "A", "type": "INT"} and second == {"name": "B", "type": "STRING", "allowedValues": ["x"]}


@pytest.mark.parametrize("facts", [{"default": "one\ntwo: 3"}, {"enum": ["a", "b\nc: 1"]}])
def test_a_text_with_a_line_break_which_would_become_another_key_is_refused(facts):
    schema = {"properties": {"title": {"type": "string", **facts}}, "required": ["title"]}
    with pytest.raises(InputError, match="no template can pass a line break"):
        template.make("X", ["python"], [], documents(schema, {}))


def test_what_an_adaptor_prints_when_it_is_imported_is_not_in_it(farm):
    farm.adaptor = str(farm.folder / "tells.py")
    (farm.folder / "tells.py").write_text("print('loading plugins')\n" + PROBE)
    done = farm("template")
    assert done.out.startswith("specificationVersion") and "loading plugins" in done.err, done


def test_a_key_that_no_line_can_have_is_refused():
    schema = {"properties": {"a\nb": {}}, "required": ["a\nb"]}
    with pytest.raises(InputError, match="has a line break in its name"):
        template.make("X", ["python"], [], documents(schema, {}))


def of_properties(**properties):
    """The parameters for properties that are all required, by their names."""
    schema = {"properties": properties, "required": list(properties)}
    job = yaml.loads(template.make("X", ["python"], [], documents(schema, {})))
    return {parameter.pop("name"): parameter for parameter in job["parameterDefinitions"]}


def test_texts_that_are_too_long_for_a_template_are_shortened_or_left_out(adaptor, farm):
    long = {"type": "string", "default": "x" * 1025, "enum": ["x" * 1024, "x" * 1025], "maxLength": 5000}
    adaptor({"a": {"description": "a\x07\x9f\v\n\t" + "b" * 3000}, "b": long, "c": {"default": ["x" * 1025]}}, {})
    done = openjd(farm, "check", str(farm.folder / "job.yaml"))
    assert done.returncode == 0, done.stdout
    a, b, c = yaml.loads((farm.folder / "job.yaml").read_text())["parameterDefinitions"][:3]
    assert a["description"] == "a   \n\t" + "b" * 2042
    assert b["allowedValues"] == ["x" * 1024] and "default" not in b and "default" not in c


def test_choices_and_defaults_that_a_parameter_cannot_have_are_left_out(adaptor, farm):
    properties = {
        "low": {"type": "integer", "minimum": 3, "enum": [1, 3, 5], "default": 1},
        "true": {"type": "integer", "enum": [True, 2], "default": True},
        "only": {"type": "number", "enum": [True, None]},
        "other": {"type": "string", "enum": ["a"], "default": "b"},
        "whole": {"type": "string", "minLength": 1.0, "maxLength": 5.0, "default": "longer"},
    }
    adaptor(properties, {})
    done = openjd(farm, "check", str(farm.folder / "job.yaml"))
    assert done.returncode == 0, done.stdout
    found = of_properties(**properties)
    assert found["Low"] == {"type": "INT", "minValue": 3, "allowedValues": [3, 5]}
    assert found["True"] == {"type": "INT", "allowedValues": [2]} and found["Only"] == {"type": "FLOAT"}
    assert found["Other"] == {"type": "STRING", "allowedValues": ["a"]}
    assert found["Whole"] == {"type": "STRING", "minLength": 1, "maxLength": 5}
    assert type(found["Whole"]["maxLength"]) is int


@pytest.mark.parametrize("init, run, told", [(50, 0, "51 parameters, 0"), (0, 17, "18 parameters, 17")])
def test_more_than_a_template_can_have_is_refused_in_one_line(init, run, told):
    schemas = [
        {"properties": keys, "required": list(keys)}
        for keys in ({"a%d" % number: {"type": "integer"} for number in range(count)} for count in (init, run))
    ]
    with pytest.raises(InputError, match="the schemas make %s for tasks; a template has 50 and 16 at most" % told):
        template.make("X", ["python"], [], documents(*schemas))


@pytest.mark.parametrize(
    "text", ['{"properties": [1]}', '{"properties": {"a": {"type": "integer", "minimum": "x"}}, "required": ["a"]}']
)
def test_what_is_no_schema_is_refused_in_one_line(farm, text):
    farm.adaptor = str(farm.folder / "tells.py")
    (farm.folder / "tells.py").write_text(PROBE)
    (farm.folder / "schemas").mkdir()
    (farm.folder / "schemas" / "init_data.schema.json").write_text(text)
    done = farm("template")
    assert done.code == 2 and "init_data.schema.json: " in done.err and done.err.count("\n") == 1, done


PLACE = {"type": "string", "format": "path", "minLength": 1}
#: Properties of init data, with what else their schema says, and the parameters that they become.
RESOLVED = [
    (
        {"scene": {"$ref": "#/$defs/file", "description": "The scene."}},
        {"$defs": {"file": PLACE}},
        {"Scene": {"type": "PATH", "minLength": 1, "description": "The scene."}},
    ),
    (
        {"w": {"allOf": [{"type": "integer", "minimum": 1}, {"minimum": 3, "maximum": 9}], "default": 5.0}},
        {},
        {"W": {"type": "INT", "minValue": 3, "maxValue": 9, "default": 5}},
    ),
    (
        {"w": {"type": "integer"}},
        {"allOf": [{"properties": {"w": {"minimum": 1.0}}}]},
        {"W": {"type": "INT", "minValue": 1}},
    ),
    (
        {"w": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}},
        {},
        {"W": {"type": "INT", "minValue": 1}},
    ),
    (
        {"w": {"anyOf": [{"type": "number", "minimum": 1}, {"const": -1}], "default": -1}},
        {},
        {"W": {"type": "FLOAT", "default": -1}},
    ),
    (
        {"w": {"anyOf": [{"type": "integer", "minimum": 4}, {"type": "number", "minimum": 2}]}},
        {},
        {"W": {"type": "FLOAT", "minValue": 2}},
    ),
    ({"w": {"type": ["string", "null"], "default": None}}, {}, {"W": {"type": "STRING", "default": "null"}}),
    (
        {"w": {"anyOf": [{"type": "string"}, {"type": "integer"}], "default": "x"}},
        {},
        {"W": {"type": "STRING", "default": '"x"'}},
    ),
    (
        {"engine": {"oneOf": [{"const": "cycles"}, {"const": "eevee"}], "default": "eevee"}},
        {},
        {"Engine": {"type": "STRING", "allowedValues": ["cycles", "eevee"], "default": "eevee"}},
    ),
    ({"v": {"const": 2.0}}, {}, {"V": {"type": "INT", "allowedValues": [2], "default": 2}}),
    ({"v": {"enum": ["a", None]}}, {}, {"V": {"type": "STRING", "allowedValues": ["a"]}}),
    ({"v": {"enum": [1, 2.5]}}, {}, {"V": {"type": "FLOAT", "allowedValues": [1, 2.5]}}),
    ({"v": {"enum": ["a", 1]}}, {}, {"V": {"type": "STRING", "allowedValues": ['"a"', "1"]}}),
    (
        {"v": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10.5}},
        {},
        {"V": {"type": "INT", "minValue": 1, "maxValue": 10}},
    ),
    ({"next": {"$ref": "#"}}, {"additionalProperties": False}, {"Next": {"type": "STRING"}}),
    (
        {"out": {"$ref": "#/definitions/p", "minLength": 9}},
        {"$schema": DRAFT_07, "definitions": {"p": PLACE}},
        {"Out": {"type": "PATH", "minLength": 1}},
    ),
    (
        {"out": {"$ref": "#here"}},
        {"$id": "https://a.example/b", "$defs": {"p": {"$anchor": "here", **PLACE}}},
        {"Out": {"type": "PATH", "minLength": 1}},
    ),
]


@pytest.mark.parametrize("properties, more, parameters", RESOLVED)
def test_a_parameter_follows_all_that_the_schemas_of_a_property_say(properties, more, parameters):
    schema = {"properties": properties, "required": list(properties), **more}
    text = template.make("X", ["python"], [], documents(schema, {}))
    found = {parameter.pop("name"): parameter for parameter in yaml.loads(text)["parameterDefinitions"]}
    assert found.pop("Python") and found == parameters
    check(text)


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_of_alternatives_at_the_root_a_job_passes_the_first(word):
    modes = [{"properties": {"mode": {"const": mode}}, "required": ["mode", mode]} for mode in ("render", "join")]
    whole = {"type": "integer"}
    schema = {"$ref": "#/$defs/all", "$defs": {"all": {word: modes, "properties": {"render": whole, "join": whole}}}}
    text = template.make("X", ["python"], [], documents({}, schema))
    names = [parameter["name"] for parameter in yaml.loads(text)["parameterDefinitions"]]
    assert names == ["RenderRange", "Mode", "Python"] and "required nor with a default: join." in text
    check(text)


@pytest.mark.parametrize(
    "facts, complaint",
    [
        ({"type": "integer", "minimum": 5, "maximum": 3}, 'run data: "a": no value fits its schema'),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "no value fits its schema"),
        ({"type": "integer", "minimum": 1, "maximum": 4, "multipleOf": 5}, "no whole number that fits its schema is"),
        ({"type": "integer", "minimum": 2**80}, "a number of the range is too large"),
        ({"type": "number", "minimum": 5, "exclusiveMaximum": 3}, "no value fits its schema"),
        ({"type": "string", "minLength": 5, "maxLength": 3}, "no value fits its schema"),
        ({"default": 1, "$ref": "#/properties/a"}, "'#/properties/a' leads back to itself"),
        ({"anyOf": [{"$ref": "#/properties/a"}]}, "run data: the schema is nested too deeply"),
    ],
)
def test_a_schema_that_no_value_fits_is_refused_in_one_line(facts, complaint):
    schema = {"properties": {"a": facts}, "required": ["a"]}
    with pytest.raises(InputError) as caught:
        template.make("X", ["python"], [], documents({}, schema))
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_the_templates_of_all_published_schemas_pass_the_check():
    paths = sorted((CORPUS / "adaptor_schemas").glob("*.json"))
    if not paths:
        pytest.skip(missing("corpus"))
    for path in paths:
        kind = RUN_DATA if "run_data" in path.name else INIT_DATA
        check(template.make("X", ["python"], ["/x"], {kind: Validator(json.loads(path.read_text()))}))


@pytest.mark.parametrize(
    "facts, sample",
    [
        ({"type": "integer", "minimum": 7.0, "examples": [3, 9]}, 9),
        ({"type": "integer", "minimum": 7.0, "examples": 9}, 7),
        ({"type": "object", "required": ["a"], "default": {"a": 1}}, {"a": 1}),
        ({"oneOf": [{"const": "x"}, {"const": "y"}]}, "x"),
        ({"type": "string", "format": "range"}, "1-30"),
        ({"type": "boolean"}, True),
    ],
)
def test_a_sample_of_a_property_fits_its_schema(facts, sample):
    document = Validator({"properties": {"a": facts}, "required": ["a"]})
    assert template.needed(document)["a"].sample() == sample
