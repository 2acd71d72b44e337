"""One side of the benchmark of data: how long reading YAML and validating by JSON Schema takes, as JSON on stdout.

    PYTHON data.py ours|reference ROUNDS

The data are the corpus's: init data and run data of real job templates, and the schemas of published adaptors. The
reference reads with PyYAML's pure loader and validates with jsonschema, both of which it brings with it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
LARGE = 2000


def main() -> None:
    side, rounds = sys.argv[1], int(sys.argv[2])
    times: dict = {}

    def measure(what: str, work) -> None:
        begin = time.perf_counter()
        work()
        times.setdefault(what, []).append(time.perf_counter() - begin)

    tools: dict = {}
    measure("import of the YAML reader", lambda: tools.update(load=reader(side)))
    measure("import of the schema validator", lambda: tools.update(zip(("validate", "check"), validator(side))))
    entries = json.loads((CORPUS / "yaml_inputs.json").read_text(encoding="utf-8"))
    texts = [entry["text"] for entry in entries if "value" in entry]
    large = "".join("layer_%d:\n  path: 'C:\\shots\\%d'\n  frames: [1, 2, %d]\n" % (n, n, n) for n in range(LARGE))
    schemas = [json.loads(path.read_text()) for path in sorted((CORPUS / "adaptor_schemas").iterdir())]
    pairs = [(instance_of(schema), schema) for schema in schemas]
    checks = [(instance, tools["check"](schema)) for instance, schema in pairs]
    for _ in range(rounds):
        measure("YAML: %d texts of the corpus" % len(texts), lambda: [tools["load"](text) for text in texts])
        measure("YAML: one text of %d KiB" % (len(large) // 1024), lambda: tools["load"](large))
        measure("schema: once for %d adaptors" % len(pairs), lambda: [tools["validate"](*pair) for pair in pairs])
        measure("schema: the next task's data", lambda: [check(instance) for instance, check in checks])
    print(json.dumps(times))


def reader(side: str):
    if side == "ours":
        from openjd_adapt import yaml

        return yaml.loads
    import yaml

    return yaml.safe_load


def validator(side: str):
    """A function that validates once, and one that makes a function for many values; neither minds what it finds."""
    if side == "ours":
        from openjd_adapt import schema

        return tolerant(schema.validate), lambda document: tolerant(schema.Validator(document).validate)
    import jsonschema

    def prepared(document):
        made = jsonschema.Draft202012Validator(document)
        return tolerant(lambda value: jsonschema.exceptions.best_match(made.iter_errors(value)))

    return tolerant(jsonschema.validate), prepared


def tolerant(work):
    def call(*arguments) -> None:
        try:
            work(*arguments)
        except ValueError:
            pass
        except Exception as error:  # jsonschema's errors are no ValueErrors
            if type(error).__name__ != "ValidationError":
                raise

    return call


def instance_of(schema: dict) -> dict:
    """Data with a value for each property, right for most."""
    values = {"string": "/mnt/a", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return {
        name: about["enum"][0] if "enum" in about else values.get(str(about.get("type")), "x")
        for name, about in schema.get("properties", {}).items()
    }


if __name__ == "__main__":
    main()
