"""For authors: an adaptor's Open Job Description template, made of its schemas.

Source: "Template Schemas" of the Open Job Description, jobtemplate-2023-09.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys

from .. import data
from ..data import INIT_DATA, RUN_DATA
from ..errors import InputError
from ..schema import AdaptorDataValidator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Property = tuple[str, dict[str, Any]]


#: How a scheduler cancels: seconds between its notice and its kill.
_NOTICE_SECONDS = 30
#: Seconds that start and stop may take before the scheduler ends them.
_START_SECONDS, _STOP_SECONDS = 3600, 300
#: What is told of the parameter ``Python``, whose default is the Python that has made the template.
_PYTHON = "A Python that can import the adaptor and openjd_adapt, on the hosts that run the job."
#: What a template may have at the most: parameters, whole numbers that make tasks, and characters in its texts.
_PARAMETERS, _AXES, _DESCRIPTION, _TEXT = 50, 16, 2048, 1024
#: How many tasks a run makes by default for each whole number of the run data.
_TASKS = 3


def of_adaptor(name: str, command: list[str], adaptor: type) -> str:
    """As :func:`make`, for the class ``adaptor``, with the schemas beside its module."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    modules = [adaptor.__module__, getattr(main, "name", ""), __name__]
    schemas = schemas_beside(getattr(sys.modules[adaptor.__module__], "__file__", None) or "")
    return make(name, command, import_folders(modules), schemas)


def schemas_beside(module_file: str) -> dict[str, dict[str, Any]]:
    """The schemas of init data and run data in the folder ``schemas`` beside a module; empty where there is none."""
    folder = os.path.join(os.path.dirname(os.path.abspath(module_file)), "schemas")
    found: dict[str, dict[str, Any]] = {INIT_DATA: {}, RUN_DATA: {}}
    for kind, path in data.schema_paths(folder).items():
        schema = data.parse("schema " + path, data.read_text("schema " + path, path))
        AdaptorDataValidator(schema, "schema " + path)
        found[kind] = schema if isinstance(schema, dict) else {}  # true and false are schemas, too
    return found


def import_folders(names: list[str]) -> list[str]:
    """What PYTHONPATH must have: the folders from which modules were imported that no Python finds by itself."""
    import sysconfig

    usual = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    folders: list[str] = []
    for name in names:
        module = sys.modules.get(name.partition(".")[0])
        places = list(getattr(module, "__path__", [])) or [getattr(module, "__file__", None) or ""]
        folder = os.path.dirname(os.path.abspath(places[0]))
        if places[0] and os.path.realpath(folder) not in usual and folder not in folders:
            folders.append(folder)
    return folders


def make(name: str, command: list[str], folders: list[str], schemas: dict[str, dict[str, Any]]) -> str:
    """The template, as YAML, of a job for the adaptor ``name``.

    ``command`` leads to the adaptor (the first of it is the Python), ``folders`` are for PYTHONPATH.
    """
    fixed = {
        "Python": _parameter("STRING", command[0], _PYTHON),
        **({"PythonPath": _parameter("STRING", os.pathsep.join(folders), "For PYTHONPATH.")} if folders else {}),
    }
    names = _Names(fixed)
    init, run = ([*_passed(schemas[kind])] for kind in (INIT_DATA, RUN_DATA))
    parameters: dict[str, dict[str, Any]] = {}
    tasks: dict[str, str] = {}
    init_lines, run_lines = [], []
    for key, schema in init:
        parameter = names.of(key)
        parameters[parameter] = _of_schema(key, schema)
        init_lines += _line(key, schema, "Param." + parameter)
    for key, schema in run:
        if schema.get("type") == "integer":
            numbers = names.of(key + " range")
            parameters[numbers] = _range(schema, "The values of %s, one task each, such as 1-10 or 1-10:3." % key)
            task = names.of(key)
            tasks[task] = numbers
            run_lines += _line(key, schema, "Task.Param." + task)
        else:
            parameter = names.of(key)
            parameters[parameter] = _of_schema(key, schema)
            run_lines += _line(key, schema, "Param." + parameter)
    sizes = (len(parameters) + len(fixed), len(tasks), _PARAMETERS, _AXES)
    if sizes[0] > _PARAMETERS or sizes[1] > _AXES:
        raise InputError("the schemas make %d parameters, %d for tasks; a template has %d and %d at most" % sizes)
    head = ["specificationVersion: jobtemplate-2023-09", "name: " + _quoted(name)]
    lines = [*head, "parameterDefinitions:"]
    for parameter, facts in {**parameters, **fixed}.items():
        lines += [
            "- name: " + _quoted(parameter),
            *("  %s: %s" % (fact, _quoted(value)) for fact, value in facts.items()),
        ]
    return "\n".join(lines + _step(name, command[1:], bool(folders), init_lines, run_lines, tasks)) + "\n"


def _step(
    name: str, arguments: list[str], has_folders: bool, init: list[str], run: list[str], tasks: dict[str, str]
) -> list[str]:
    lines = ["steps:", "- name: " + _quoted(name)]
    if tasks:
        lines += ["  parameterSpace:", "    taskParameterDefinitions:"]
        for task, numbers in tasks.items():
            lines += ["    - name: " + _quoted(task), "      type: INT", '      range: "{{Param.%s}}"' % numbers]
    lines += ["  stepEnvironments:", "  - name: " + _quoted(name)]
    if has_folders:
        lines += ["    variables:", '      PYTHONPATH: "{{Param.PythonPath}}"']
    lines += ["    script:", *_file("      ", "initData", init), "      actions:"]
    rules = ["--path-mapping-rules", "file://{{Session.PathMappingRulesFile}}"]
    start = ["start", "--init-data", "file://{{Env.File.initData}}", *rules]
    lines += _action("        ", "onEnter", arguments, start, _START_SECONDS)
    lines += _action("        ", "onExit", arguments, ["stop"], _STOP_SECONDS)
    lines += ["  script:", *_file("    ", "runData", run), "    actions:"]
    return lines + _action("      ", "onRun", arguments, ["run", "--run-data", "file://{{Task.File.runData}}"], None)


def _file(indent: str, name: str, lines: list[str]) -> list[str]:
    head = ["embeddedFiles:", "- name: " + name, "  filename: %s.yaml" % name, "  type: TEXT"]
    body = ["  data: |", *("    " + line for line in lines)] if lines else ['  data: "{}"']
    return [indent + line for line in head + body]


def _action(indent: str, hook: str, arguments: list[str], words: list[str], seconds: int | None) -> list[str]:
    file = ["--connection-file", "{{Session.WorkingDirectory}}/connection.json"]
    command = [*arguments, "daemon", words[0], *file, *words[1:]]
    lines = [hook + ":", '  command: "{{Param.Python}}"', "  args:", *("  - " + _quoted(word) for word in command)]
    lines += ["  cancelation:", "    mode: NOTIFY_THEN_TERMINATE", "    notifyPeriodInSeconds: %d" % _NOTICE_SECONDS]
    return [indent + line for line in lines + (["  timeout: %d" % seconds] if seconds else [])]


class _Names:
    """Gives each key of the data a name for its parameter, which no other has."""

    def __init__(self, taken: dict[str, Any]) -> None:
        self._taken = set(taken)

    def of(self, key: str) -> str:
        words = re.findall(r"[A-Za-z0-9]+", key)
        name = "".join(word[:1].upper() + word[1:] for word in words)[:60]
        name = name if name[:1].isalpha() else "Data" + name
        unique, number = name, 2
        while unique in self._taken:
            unique, number = "%s%d" % (name, number), number + 1
        self._taken.add(unique)
        return unique


def _passed(schema: dict[str, Any]) -> Iterator[Property]:
    """The properties that a job passes: those that are required, and those that have a default."""
    required = schema.get("required") or []
    properties = schema.get("properties") or {}
    for key in [*properties, *(key for key in required if key not in properties)]:
        facts = properties.get(key, {})
        facts = facts if isinstance(facts, dict) else {}
        if key in required or "default" in facts:
            yield key, facts


def _parameter(kind: str, default: Any, description: str) -> dict[str, Any]:
    return {"type": kind, "default": default, "description": description}


_KINDS = {"integer": "INT", "number": "FLOAT", "string": "STRING"}
_TYPES: dict[str, Any] = {"": (str,), "INT": (int,), "FLOAT": (int, float), "STRING": (str,), "PATH": (str,)}
_BOUNDS = {"minimum": "minValue", "maximum": "maxValue", "minLength": "minLength", "maxLength": "maxLength"}
_ROUNDED: dict[str, Any] = {"minimum": math.ceil, "maximum": math.floor, "minLength": int, "maxLength": int}
_SIZES, _LENGTHS = ("minimum", "maximum"), ("minLength", "maxLength")
_BOUNDS_OF = {"INT": _SIZES, "FLOAT": _SIZES, "STRING": _LENGTHS, "PATH": _LENGTHS}


def _of_schema(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The parameter for the property ``key``: what is no number and no text is passed as JSON."""
    kind = _KINDS.get(str(schema.get("type")), "")
    if kind == "STRING" and schema.get("format") == "path":
        kind = "PATH"
    facts: dict[str, Any] = {"type": kind or "STRING"}
    for bound in _BOUNDS_OF.get(kind, ()):
        if bound in schema and (bound != "maxLength" or schema[bound]):  # no length of 0, says the specification
            facts[_BOUNDS[bound]] = schema[bound] if kind == "FLOAT" else _ROUNDED[bound](schema[bound])
    choices = _possible(schema.get("enum", [True, False] if schema.get("type") == "boolean" else []), kind, facts)
    if choices and kind != "PATH":
        facts["allowedValues"] = choices
    for default in _possible([schema["default"]] if "default" in schema else [], kind, facts):
        facts["default"] = default
    if isinstance(schema.get("description"), str) and schema["description"]:
        facts["description"] = re.sub("[\0-\x08\v\f\x0e-\x1f\x7f-\x9f]", " ", schema["description"])[:_DESCRIPTION]
    for value in (facts.get("default"), *facts.get("allowedValues", ())):
        if isinstance(value, str) and "\n" in value:
            raise InputError("the property %r may be %r; no template can pass a line break" % (key, value))
    return facts


def _possible(values: list[Any], kind: str, facts: dict[str, Any]) -> list[Any]:
    """Those of a schema's values that a parameter of these facts can have."""
    found = []
    for value in values if kind else map(json.dumps, values):
        if type(value) in _TYPES[kind]:  # true is no number
            size, most = (len(value), _TEXT) if isinstance(value, str) else (value, value)
            low = facts.get("minValue", facts.get("minLength", size))
            high = min(facts.get("maxValue", facts.get("maxLength", most)), most)
            if low <= size <= high and value in facts.get("allowedValues", [value]):
                found.append(value)
    return found


def _range(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """The range of an axis: the choices, or a few numbers from the default on, as far as the bounds allow."""
    choices = [choice for choice in schema.get("enum", ()) if type(choice) is int]
    if choices:
        return _parameter("STRING", ",".join(map(str, choices[:_TASKS])), description)
    first = _whole(schema, "default", _whole(schema, "minimum", _whole(schema, "exclusiveMinimum", 0) + 1))
    last = min(first + _TASKS - 1, _whole(schema, "maximum", _whole(schema, "exclusiveMaximum", first + _TASKS) - 1))
    return _parameter("STRING", "%d-%d" % (min(first, last), last), description)


def _whole(schema: dict[str, Any], key: str, otherwise: int) -> int:
    value = schema.get(key)
    return value if type(value) is int else otherwise


def _line(key: str, schema: dict[str, Any], place: str) -> list[str]:
    """The lines of YAML that give a key its value; a literal block takes any line of text as it is."""
    if "\n" in key:
        raise InputError("the property %r has a line break in its name; no template can pass it" % key)
    name = key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) and key.lower() not in _YAML_WORDS else _quoted(key)
    if schema.get("type") == "string":
        return ["%s: |2-" % name, "  {{%s}}" % place]
    return ["%s: {{%s}}" % (name, place)]


def _quoted(value: Any) -> str:
    """A value as YAML and in ASCII: as JSON, but for characters that JSON would write as two."""
    if isinstance(value, list):
        return "[%s]" % ", ".join(map(_quoted, value))
    if isinstance(value, str):
        return '"%s"' % "".join(
            "\\U%08x" % ord(sign) if ord(sign) > 0xFFFF else json.dumps(sign)[1:-1] for sign in value
        )
    return json.dumps(value)


#: What YAML 1.1 takes for something else than text.
_YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
