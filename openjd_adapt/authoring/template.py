"""For authors: an adaptor's Open Job Description template, made of its schemas.

Source: "Template Schemas" of the Open Job Description, jobtemplate-2023-09.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys

from .. import yaml
from ..data import INIT_DATA, RUN_DATA
from ..errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..adaptor import BaseAdaptor


#: How a scheduler cancels: seconds between its notice and its kill.
_NOTICE_SECONDS = 30
#: Seconds that start and stop may take before the scheduler ends them.
_START_SECONDS, _STOP_SECONDS = 3600, 300
#: A daemon whose agent was killed, so that nobody stops it, ends by itself after so many seconds without a task.
_IDLE_SECONDS = 24 * 3600
#: How much longer, in seconds, a task may take than its own time bound, which is to act first.
_MARGIN_SECONDS = 180
#: What a template may have at the most: parameters, whole numbers that make tasks, and characters in its texts.
_PARAMETERS, _AXES, _DESCRIPTION, _TEXT = 50, 16, 2048, 1024
#: How many tasks a run makes by default for each whole number of the run data.
_TASKS = 3


def of_adaptor(name: str, command: list[str], adaptor: type[BaseAdaptor]) -> str:
    """As :func:`make`, for the class ``adaptor``, with its schemas."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    modules = [adaptor.__module__, getattr(main, "name", ""), __name__]
    schemas = {kind: validator.schema for kind, validator in adaptor._schemas().items()}
    bound = None if adaptor.run_timeout is None else math.ceil(adaptor.run_timeout) + _MARGIN_SECONDS
    return make(name, command, import_folders(modules), schemas, bound)


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


def make(name: str, command: list[str], folders: list[str], schemas: dict[str, Any], bound: int | None = None) -> str:
    """The template, as YAML, of a job for the adaptor ``name``.

    ``command`` leads to the adaptor (the first of it is the Python), ``folders`` are for PYTHONPATH; ``schemas`` are
    those that the adaptor has, by the kind of data; ``bound`` is how long a task may take, in seconds.
    """
    python = "A Python that can import the adaptor and openjd_adapt, on the hosts that run the job."
    fixed = {"Python": _parameter(command[0], python)}
    if folders:
        fixed["PythonPath"] = _parameter(os.pathsep.join(folders), "For PYTHONPATH.")
    taken = set(fixed)
    parameters: dict[str, dict[str, Any]] = {}
    tasks: dict[str, str] = {}
    # The lines of the files that bring the data, by the kind of data.
    embedded: dict[str, list[str]] = {INIT_DATA: [], RUN_DATA: []}
    for kind, lines in embedded.items():
        for key, schema in _passed(schemas.get(kind)):
            if kind == RUN_DATA and schema.get("type") == "integer":
                parameter, task = _name(key + " range", taken), _name(key, taken)
                parameters[parameter] = _range(schema, "The values of %s, one task each, such as 1-10 or 1-10:3." % key)
                tasks[task] = parameter
                lines += _line(key, schema, "Task.Param." + task)
            else:
                parameter = _name(key, taken)
                parameters[parameter] = _of_schema(key, schema)
                lines += _line(key, schema, "Param." + parameter)
    sizes = (len(parameters) + len(fixed), len(tasks), _PARAMETERS, _AXES)
    if sizes[0] > _PARAMETERS or sizes[1] > _AXES:
        raise InputError("the schemas make %d parameters, %d for tasks; a template has %d and %d at most" % sizes)
    lines = ["specificationVersion: jobtemplate-2023-09", "name: " + _quoted(name), "parameterDefinitions:"]
    for parameter, facts in {**parameters, **fixed}.items():
        lines.append("- name: " + _quoted(parameter))
        lines += ["  %s: %s" % (fact, _quoted(value)) for fact, value in facts.items()]
    lines += _step(name, command[1:], bool(folders), embedded, tasks, bound)
    return "\n".join(lines) + "\n"


def _step(
    name: str,
    arguments: list[str],
    has_folders: bool,
    embedded: dict[str, list[str]],
    tasks: dict[str, str],
    bound: int | None,
) -> list[str]:
    lines = ["steps:", "- name: " + _quoted(name)]
    if tasks:
        lines += ["  parameterSpace:", "    taskParameterDefinitions:"]
        for task, numbers in tasks.items():
            lines += ["    - name: " + _quoted(task), "      type: INT", '      range: "{{Param.%s}}"' % numbers]
    lines += ["  stepEnvironments:", "  - name: " + _quoted(name)]
    if has_folders:
        lines += ["    variables:", '      PYTHONPATH: "{{Param.PythonPath}}"']
    lines += ["    script:", *_file("      ", "initData", embedded[INIT_DATA]), "      actions:"]
    rules = ["--path-mapping-rules", "file://{{Session.PathMappingRulesFile}}"]
    idle = ["--idle-timeout", str(_IDLE_SECONDS)]
    start = ["start", "--init-data", "file://{{Env.File.initData}}", *rules, *idle]
    lines += _action("        ", "onEnter", arguments, start, _START_SECONDS)
    lines += _action("        ", "onExit", arguments, ["stop"], _STOP_SECONDS)
    lines += ["  script:", *_file("    ", "runData", embedded[RUN_DATA]), "    actions:"]
    return lines + _action("      ", "onRun", arguments, ["run", "--run-data", "file://{{Task.File.runData}}"], bound)


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


def _name(key: str, taken: set[str]) -> str:
    """A name for the parameter of a key of the data, which no other has; it is added to ``taken``."""
    words = re.findall(r"[A-Za-z0-9]+", key)
    name = "".join(word[:1].upper() + word[1:] for word in words)[:60]
    name = name if name[:1].isalpha() else "Data" + name
    unique, number = name, 2
    while unique in taken:
        unique, number = "%s%d" % (name, number), number + 1
    taken.add(unique)
    return unique


def _passed(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The properties that a job passes: those that are required, and those that have a default."""
    if not isinstance(schema, dict):
        return  # there is none, or it is true or false
    required = schema.get("required") or []
    properties = schema.get("properties") or {}
    for key in dict.fromkeys([*properties, *required]):
        facts = properties.get(key)
        facts = facts if isinstance(facts, dict) else {}
        if key in required or "default" in facts:
            yield key, facts


def _parameter(default: str, description: str) -> dict[str, Any]:
    return {"type": "STRING", "default": default, "description": description}


_KINDS = {"integer": "INT", "number": "FLOAT", "string": "STRING"}
_TYPES: dict[str, Any] = {"": (str,), "INT": (int,), "FLOAT": (int, float), "STRING": (str,), "PATH": (str,)}
#: What a schema's bounds are for a parameter, by its type: their names, and what makes them whole.
_SIZES: dict[str, Any] = {"minimum": ("minValue", math.ceil), "maximum": ("maxValue", math.floor)}
_LENGTHS: dict[str, Any] = {"minLength": ("minLength", int), "maxLength": ("maxLength", int)}
_BOUNDS = {"INT": _SIZES, "FLOAT": _SIZES, "STRING": _LENGTHS, "PATH": _LENGTHS}


def _of_schema(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The parameter for the property ``key``: what is neither a number nor text is passed as JSON."""
    kind = _KINDS.get(str(schema.get("type")), "")
    if kind == "STRING" and schema.get("format") == "path":
        kind = "PATH"
    facts: dict[str, Any] = {"type": kind or "STRING"}
    for bound, (name, whole) in _BOUNDS.get(kind, {}).items():
        if bound in schema and (bound != "maxLength" or schema[bound]):  # no length of 0, says the specification
            facts[name] = schema[bound] if kind == "FLOAT" else whole(schema[bound])
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
        if type(value) in _TYPES[kind]:  # true is not a number
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
        return _parameter(",".join(map(str, choices[:_TASKS])), description)
    whole = {key: value for key, value in schema.items() if type(value) is int}
    first = whole.get("default", whole.get("minimum", whole.get("exclusiveMinimum", 0) + 1))
    last = min(first + _TASKS - 1, whole.get("maximum", whole.get("exclusiveMaximum", first + _TASKS) - 1))
    return _parameter("%d-%d" % (min(first, last), last), description)


def _line(key: str, schema: dict[str, Any], place: str) -> list[str]:
    """The lines of YAML that give a key its value; a literal block takes any line of text as it is."""
    if "\n" in key:
        raise InputError("the property %r has a line break in its name; no template can pass it" % key)
    name = key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) and yaml.loads(key) == key else _quoted(key)
    if schema.get("type") == "string":
        return ["%s: |2-" % name, "  {{%s}}" % place]
    return ["%s: {{%s}}" % (name, place)]


def _quoted(value: Any) -> str:
    """A value as YAML and in ASCII: as JSON, but for the escapes, for JSON's are two for some characters."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(sign if " " <= sign <= "~" else "\\U%08x" % ord(sign) for sign in text)
