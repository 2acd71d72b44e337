"""For authors: an adaptor's Open Job Description template, made of its schemas.

Each schema leads to the properties that a job passes, each of these to what is known of its values (:func:`_facts`),
that to a parameter of the job, and to a task's where it is to run through a range; the rest is YAML.

Source: "Template Schemas" of the Open Job Description, jobtemplate-2023-09, and its RFC 0001, "Task Chunking".
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import operator
import os
import re
import sys

from .. import yaml
from ..data import INIT_DATA, RUN_DATA, SCHEMA_FILES
from ..errors import InputError
from ..ranges import IntRange, as_chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..adaptor import BaseAdaptor
    from ..schema import Validator

    #: What is known of a value, by the words of :data:`_WORDS`.
    Facts = dict[str, Any]


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
#: How many tasks a run makes by default for each whole number of the run data, and how many numbers a chunk has.
_TASKS, _CHUNK = 3, 10
#: Among how many numbers those are looked for that fit a schema.
_SEARCHED = 10_000
#: The formats of texts that are chunks of a range, and what the numbers of a chunk must be.
_RANGES = {"range": "NONCONTIGUOUS", "contiguous-range": "CONTIGUOUS"}


def of_adaptor(name: str, command: list[str], adaptor: type[BaseAdaptor]) -> str:
    """As :func:`make`, for the class ``adaptor``, with its schemas."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    modules = [adaptor.__module__, getattr(main, "name", ""), __name__]
    schemas = {kind: validator.document for kind, validator in adaptor._schemas().items()}
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


def make(
    name: str, command: list[str], folders: list[str], schemas: dict[str, Validator], bound: int | None = None
) -> str:
    """The template, as YAML, of a job for the adaptor ``name``.

    ``command`` leads to the adaptor (the first of it is the Python), ``folders`` are for PYTHONPATH; ``schemas`` are
    those that the adaptor has, by the kind of data; ``bound`` is how long a task may take, in seconds. Raises
    :class:`InputError` for what no template can pass.
    """
    python = "A Python that can import the adaptor and openjd_adapt, on the hosts that run the job."
    fixed = {"Python": _text(command[0], python)}
    if folders:
        fixed["PythonPath"] = _text(os.pathsep.join(folders), "For PYTHONPATH.")
    job = _Job(set(fixed))
    for kind in job.embedded:
        try:
            job.add(kind, schemas.get(kind))
        except RecursionError:
            raise InputError("%s: the schema is nested too deeply" % kind) from None
    sizes = (len(job.parameters) + len(fixed), len(job.tasks), _PARAMETERS, _AXES)
    if sizes[0] > _PARAMETERS or sizes[1] > _AXES:
        raise InputError("the schemas make %d parameters, %d for tasks; a template has %d and %d at most" % sizes)
    lines = ["specificationVersion: jobtemplate-2023-09", *["extensions: [TASK_CHUNKING]"] * job.has_chunks]
    lines += ["name: " + _quoted(name), *job.remarks, "parameterDefinitions:"]
    for parameter, facts in {**job.parameters, **fixed}.items():
        lines.append("- name: " + _quoted(parameter))
        lines += ["  %s: %s" % (fact, _quoted(value)) for fact, value in facts.items()]
    lines += _step(name, command[1:], bool(folders), job.embedded, job.tasks, bound)
    return "\n".join(lines) + "\n"


class _Job:
    """What the schemas make of a job."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self.parameters: dict[str, Facts] = {}
        #: The lines of each parameter of a task, by its name.
        self.tasks: dict[str, list[str]] = {}
        self.has_chunks = False
        #: The lines of the files that bring the data, by the kind of data.
        self.embedded: dict[str, list[str]] = {INIT_DATA: [], RUN_DATA: []}
        self.remarks: list[str] = []

    def add(self, kind: str, document: Validator | None) -> None:
        """Pass the properties of a schema: those that are required, and those that have a default."""
        if document is None:
            self.remarks.append("# No %s: there is no schemas/%s beside the adaptor." % (kind, SCHEMA_FILES[kind]))
            return
        left_out = []
        for key, (schemas, is_required) in _properties(document).items():
            value = _Value(document, schemas, "%s: %s" % (kind, _quoted(key)))
            if is_required or value.has_default:
                self.embedded[kind] += _line(key, value.type, self._pass(key, value, kind == RUN_DATA))
            else:
                left_out.append(key)
        if left_out:
            names = json.dumps(", ".join(left_out))[1:-1]
            self.remarks.append("# Left out of the %s, neither required nor with a default: %s." % (kind, names))

    def _pass(self, key: str, value: _Value, by_task: bool) -> str:
        """Make the parameters for a property; returns what stands for its value in the data."""
        if by_task and value.type == "INT":
            parameter = _name(key + " range", self._taken)
            told = "The values of %s, one task each, such as 1-10 or 1-10:3." % key
            self.parameters[parameter] = _text(value.numbers(), told)
            lines = ["type: INT", 'range: "{{Param.%s}}"' % parameter]
        elif by_task and value.chunks and not self.has_chunks:  # a step has one parameter of chunks at the most
            self.has_chunks = True
            parameter, size = _name(key, self._taken), _name("chunk size", self._taken)
            told = "The values of %s, in chunks, such as 1-100 or 1-100:3." % key
            self.parameters[parameter] = {"type": "STRING", **value.range(), "description": told}
            told = "How many values of %s a task gets at the most." % key
            self.parameters[size] = {"type": "INT", "minValue": 1, "default": _CHUNK, "description": told}
            lines = ["type: CHUNK[INT]", 'range: "{{Param.%s}}"' % parameter, "chunks:"]
            lines += ['  defaultTaskCount: "{{Param.%s}}"' % size, "  rangeConstraint: " + value.chunks]
        else:
            parameter = _name(key, self._taken)
            self.parameters[parameter] = value.parameter()
            return "Param." + parameter
        task = _name(key, set(self.tasks))
        self.tasks[task] = lines
        return "Task.Param." + task


def _step(
    name: str,
    arguments: list[str],
    has_folders: bool,
    embedded: dict[str, list[str]],
    tasks: dict[str, list[str]],
    bound: int | None,
) -> list[str]:
    lines = ["steps:", "- name: " + _quoted(name)]
    if tasks:
        lines += ["  parameterSpace:", "    taskParameterDefinitions:"]
        for task, facts in tasks.items():
            lines += ["    - name: " + _quoted(task), *("      " + fact for fact in facts)]
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


def _line(key: str, kind: str, place: str) -> list[str]:
    """The lines of YAML that give a key its value; a literal block takes any line of text as it is."""
    if "\n" in key:
        raise InputError("the property %r has a line break in its name; no template can pass it" % key)
    name = key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key) and yaml.loads(key) == key else _quoted(key)
    if kind in ("STRING", "PATH"):
        return ["%s: |2-" % name, "  {{%s}}" % place]
    return ["%s: {{%s}}" % (name, place)]


def _quoted(value: Any) -> str:
    """A value as YAML and in ASCII: as JSON, but for the escapes, for JSON's are two for some characters."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(sign if " " <= sign <= "~" else "\\U%08x" % ord(sign) for sign in text)


def _text(default: str, description: str) -> Facts:
    return {"type": "STRING", "default": default, "description": description}


# What schemas say of a value


def needed(document: Validator | None) -> dict[str, _Value]:
    """The properties that data must have, by a schema, if there is one."""
    if document is None:
        return {}
    found = _properties(document).items()
    return {key: _Value(document, schemas, key) for key, (schemas, is_required) in found if is_required}


def _properties(document: Validator) -> dict[str, tuple[list[Any], bool]]:
    """The properties of data: the schemas of each, and whether it is required. Of alternatives the first counts."""
    parts: dict[int, Facts] = {}
    waiting = [document.schema]
    for schema in waiting:
        for part in document.applied(schema):
            if id(part) not in parts:
                parts[id(part)] = part
                waiting += [part[word][0] for word in _ALTERNATIVES if word in part]
    required = dict.fromkeys(key for part in parts.values() for key in part.get("required", ()))
    schemas: dict[str, list[Any]] = {}
    for part in parts.values():
        for key, schema in part.get("properties", {}).items():
            schemas.setdefault(key, []).append(schema)
    return {key: (schemas.get(key, []), key in required) for key in [*schemas, *required]}


_ALTERNATIVES = ("anyOf", "oneOf")


def _first(one: Any, other: Any) -> Any:
    return one


#: What is known of a value, by the keyword: how it comes of two schemas that both hold, and of two alternatives.
_KNOWN: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "type": (operator.and_, operator.or_),  # sets of names; "integer" with "number", and never "null"
    "enum": (_first, operator.add),  # which values fit is asked later
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength"), (max, min)),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength"), (min, max)),
    **dict.fromkeys(("default", "description", "format"), (_first, _first)),
}
_TYPES = {"STRING": {"string"}, "INT": {"integer"}, "FLOAT": {"integer", "number"}}
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _facts(document: Validator, schemas: list[Any]) -> Facts:
    """What schemas say together of one value."""
    facts: Facts = {}
    for part in document.applied(*schemas):
        told = [_told(part)]
        told += [_either([_facts(document, [one]) for one in part[word]]) for word in _ALTERNATIVES if word in part]
        for keyword, value in (fact for more in told for fact in more.items()):
            facts[keyword] = _KNOWN[keyword][0](facts[keyword], value) if keyword in facts else value
    return facts


def _told(schema: Facts) -> Facts:
    """What one schema says itself."""
    facts = {keyword: schema[keyword] for keyword in _KNOWN if keyword in schema}
    if "const" in schema:
        facts["enum"] = [schema["const"]]
    if "type" in facts:
        names = {facts["type"]} if isinstance(facts["type"], str) else {*facts["type"]}
    elif "enum" in facts:
        names = {_NAMES.get(type(_whole(value)), "other") for value in facts["enum"]}
    else:
        return facts
    facts["type"] = names - {"null"} | ({"integer"} if "number" in names else set())
    return facts


def _either(branches: list[Facts]) -> Facts:
    """What alternatives have in common; one that is just null is none."""
    branches = [facts for facts in branches if facts.get("type") != set()]
    common = [word for word in branches[0] if all(word in facts for facts in branches)] if branches else []
    return {word: functools.reduce(_KNOWN[word][1], [facts[word] for facts in branches]) for word in common}


def _whole(value: Any) -> Any:
    """A whole number that is written 5.0 is 5; all else is as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: What bounds a parameter, by its type: keywords, with what makes them whole.
_LOWS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "INT": {"minimum": math.ceil, "exclusiveMinimum": lambda number: math.floor(number) + 1},
    "FLOAT": {"minimum": _whole, "exclusiveMinimum": _whole},
    **dict.fromkeys(("STRING", "PATH"), {"minLength": int}),
}
_HIGHS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "INT": {"maximum": math.floor, "exclusiveMaximum": lambda number: math.ceil(number) - 1},
    "FLOAT": {"maximum": _whole, "exclusiveMaximum": _whole},
    **dict.fromkeys(("STRING", "PATH"), {"maxLength": int}),
}


class _Value:
    """What a job can pass for a property, by all that its schemas say together.

    ``type`` is that of its parameter, empty for a value that is passed as JSON; ``chunks`` is what the numbers of a
    chunk must be, empty for what is none.
    """

    def __init__(self, document: Validator, schemas: list[Any], where: str) -> None:
        self._where, self._document, self._schemas = where, document, schemas
        self._facts = facts = _facts(document, schemas)
        self.has_default = "default" in facts and self._fits(facts["default"])
        names = set() if self.has_default and facts["default"] is None else facts.get("type", set())
        self.type = next((kind for kind, known in _TYPES.items() if names and names <= known), "")
        if self.type == "STRING" and facts.get("format") == "path":
            self.type = "PATH"
        self.chunks = _RANGES.get(str(facts.get("format")), "") if self.type == "STRING" else ""
        self._choices = self._possible(facts.get("enum", [True, False] if names == {"boolean"} else []))
        constants = [part["const"] for part in document.applied(*schemas) if "const" in part]
        self._default = self._possible([facts["default"]] if "default" in facts else constants)[:1]
        lows = [whole(facts[word]) for word, whole in _LOWS.get(self.type, {}).items() if word in facts]
        highs = [whole(facts[word]) for word, whole in _HIGHS.get(self.type, {}).items() if word in facts]
        self._low, self._high = max(lows, default=None), min(highs, default=None)
        if lows and highs and max(lows) > min(highs):
            self._refuse("no value fits its schema")

    def _fits(self, value: Any) -> bool:
        return self._document.fits(value, *self._schemas)

    def _refuse(self, why: str) -> NoReturn:
        raise InputError("%s: %s" % (self._where, why))

    def _possible(self, values: list[Any]) -> list[Any]:
        """Those of a schema's values that a parameter can have."""
        found = []
        for value in values:
            shown = _whole(value) if self.type else json.dumps(value)
            if self._fits(value) and shown is not None and len(str(shown)) <= _TEXT:
                found.append(shown)
                if isinstance(shown, str) and "\n" in shown:
                    self._refuse("it may be %r; no template can pass a line break" % shown)
        return found

    def sample(self) -> Any:
        """A value that fits: an example of the schemas, the default, a choice, or any; None if none is found."""
        examples = [part.get("examples") for part in self._document.applied(*self._schemas)]
        told = [value for each in examples if isinstance(each, list) for value in each]  # nothing checks annotations
        told += [self._facts["default"]] if self.has_default else []
        told += [*self._facts.get("enum", ()), self._low, *(self.range().values() if self.chunks else ())]
        return next((value for value in (*told, 1, self._where, True, [], {}) if self._fits(value)), None)

    def parameter(self) -> Facts:
        """The parameter of the job that has the value."""
        kind = self.type or "STRING"
        low, high = ("minValue", "maxValue") if kind in ("INT", "FLOAT") else ("minLength", "maxLength")
        facts = {"type": kind, low: self._low, high: self._high}
        if high == "maxLength" and not self._high:
            del facts[high]  # no length of 0, says the specification
        if self.type != "PATH":
            facts["allowedValues"] = self._choices or None
        facts.update(("default", value) for value in self._default)
        description = self._facts.get("description")
        if isinstance(description, str) and description:
            facts["description"] = re.sub("[\0-\x08\v\f\x0e-\x1f\x7f-\x9f]", " ", description)[:_DESCRIPTION]
        return {fact: value for fact, value in facts.items() if value is not None}

    def numbers(self) -> str:
        """The range of an axis: the choices, or a few numbers from the default on, as far as the schemas allow."""
        found = self._choices[:_TASKS]
        if not found:
            begin = self._low if self._low is not None else 1 if self._high is None else min(1, self._high)
            first = self._default[0] if self._default else begin
            last = first + _SEARCHED if self._high is None else min(self._high, first + _SEARCHED)
            found = list(itertools.islice(filter(self._fits, range(first, last + 1)), _TASKS))
        try:
            return as_chunk(IntRange.from_numbers(found))
        except ValueError as error:
            self._refuse(str(error) if found else "no whole number that fits its schema is found")

    def range(self) -> Facts:
        """The default of a range that is passed in chunks, if there is one that the schemas allow."""
        for text in (*self._default, "1-%d" % (_TASKS * _CHUNK)):
            with contextlib.suppress(ValueError):
                if IntRange.parse(text) and self._fits(text):
                    return {"default": text}
        return {}
