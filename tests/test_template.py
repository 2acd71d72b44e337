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

from .conftest import ROOT, tool

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


def test_every_combination_of_whole_numbers_is_a_task(adaptor, farm):
    adaptor({}, {"y": {"type": "integer", "maximum": 2}, "x": {"type": "integer", "default": 7}})
    ran = openjd(farm, "run", str(farm.folder / "job.yaml"))
    assert ran.returncode == 0, ran.stdout
    found = [(data["y"], data["x"]) for data in told(ran.stdout, "run")]
    assert sorted(found) == [(y, x) for y in (1, 2) for x in (7, 8, 9)]


def test_an_adaptor_without_schemas_has_one_task_with_no_data(farm):
    farm.adaptor = str(farm.folder / "tells.py") + ":Tells"
    (farm.folder / "tells.py").write_text(PROBE)
    (farm.folder / "job.yaml").write_text(farm("template").out)
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
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "x"}}}
    job = yaml.loads(template.make("X", ["python"], [], {INIT_DATA: schema, RUN_DATA: {}}))
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
    job = yaml.loads(template.make("X", ["python"], ["/x"], {INIT_DATA: schema, RUN_DATA: run}))
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
    ],
)
def test_the_default_of_a_range_keeps_to_the_schema(facts, numbers):
    schema = {"properties": {"frame": {"type": "integer", **facts}}, "required": ["frame"]}
    job = yaml.loads(template.make("X", ["python"], [], {INIT_DATA: {}, RUN_DATA: schema}))
    assert job["parameterDefinitions"][0]["default"] == numbers


def test_what_openjd_would_refuse_is_left_out():
    facts = {"a": {"type": "integer", "default": None}, "b": {"type": "string", "description": "", "enum": ["x", None]}}
    schema = {"properties": facts, "required": ["a", "b"]}
    job = yaml.loads(template.make("X", ["python"], [], {INIT_DATA: schema, RUN_DATA: {}}))
    first, second, _ = job["parameterDefinitions"]
    assert first == {"name": "A", "type": "INT"} and second == {"name": "B", "type": "STRING", "allowedValues": ["x"]}


@pytest.mark.parametrize("facts", [{"default": "one\ntwo: 3"}, {"enum": ["a", "b\nc: 1"]}])
def test_a_text_with_a_line_break_which_would_become_another_key_is_refused(facts):
    schema = {"properties": {"title": {"type": "string", **facts}}, "required": ["title"]}
    with pytest.raises(InputError, match="no template can pass a line break"):
        template.make("X", ["python"], [], {INIT_DATA: schema, RUN_DATA: {}})


def test_what_an_adaptor_prints_when_it_is_imported_is_not_in_it(farm):
    farm.adaptor = str(farm.folder / "tells.py")
    (farm.folder / "tells.py").write_text("print('loading plugins')\n" + PROBE)
    done = farm("template")
    assert done.out.startswith("specificationVersion") and "loading plugins" in done.err, done


def test_a_key_that_no_line_can_have_is_refused():
    schema = {"properties": {"a\nb": {}}, "required": ["a\nb"]}
    with pytest.raises(InputError, match="has a line break in its name"):
        template.make("X", ["python"], [], {INIT_DATA: schema, RUN_DATA: {}})


def of_properties(**properties):
    """The parameters for properties that are all required, by their names."""
    schema = {"properties": properties, "required": list(properties)}
    job = yaml.loads(template.make("X", ["python"], [], {INIT_DATA: schema, RUN_DATA: {}}))
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
        template.make("X", ["python"], [], dict(zip((INIT_DATA, RUN_DATA), schemas)))


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
