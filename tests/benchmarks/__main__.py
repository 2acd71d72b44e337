"""Measures this package beside the reference, openjd-adaptor-runtime, in one run; the two alternate.

    python -m tests.benchmarks [--rounds N] [--only GROUP ...] [--reference PYTHON] [--json FILE] [--plot FILE]
                               [--check]

PYTHON is a Python that has the reference; without it a virtual environment is made. Prints the median, minimum and
maximum of each figure, its ratio to the reference's (of the medians), the ratio that was asked for and the one that was
aimed at. What begins with "floor" is what the machine allows: a bare interpreter, a pipe through cat, a JSON ping-pong
over a socket pair. A line is 100 bytes long, and its time is net of the same command without lines.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
from pathlib import Path

from .figures import GROUPS, RATIOS
from .sides import Side, make_reference


def measure(sides: list, groups: list, rounds: int) -> dict:
    """By figure and side, all values: seconds; bytes where the name begins with "memory"; starts of a bare interpreter
    where with "starts"; multiples where with "times"."""
    found: dict = {}
    for _ in range(rounds):
        for group in groups:
            for side in sides:
                for figure, values in GROUPS[group](side).items():
                    found.setdefault(figure, {}).setdefault(side.name, []).extend(values)
    return found


def ratio(values: dict) -> float:
    """How many times less this package takes; 0 where the reference has no such figure."""
    if "reference" not in values or "ours" not in values:
        return 0.0
    return statistics.median(values["reference"]) / statistics.median(values["ours"])


def cell(figure: str, values: list) -> str:
    """Median, minimum and maximum in a unit that leaves them readable."""
    if figure.startswith("memory"):
        units = [("MB", 1e6), ("kB", 1e3), ("B", 1)]
    elif figure.startswith(("starts", "times")):
        units = [("x", 1)]
    else:
        units = [("s", 1), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)]
    middle = statistics.median(values)
    unit, size = next((pair for pair in units if middle >= pair[1]), units[-1])
    return "%7.2f %7.2f %7.2f %-2s" % (middle / size, min(values) / size, max(values) / size, unit)


def table(found: dict) -> str:
    rows = ["%-36s %-27s %-27s %7s %6s %5s" % ("", "ours: median min max", "reference", "ratio", "asked", "aim")]
    for figure, values in found.items():
        row = "%-36s %-27s" % (figure, cell(figure, values["ours"]))
        if ratio(values) and not figure.startswith("floor"):
            row += " %-27s %6.1fx" % (cell(figure, values["reference"]), ratio(values))
        if figure in RATIOS:
            row += " %5gx %4gx" % RATIOS[figure][:2]
        rows.append(row)
    return "\n".join(rows)


def plot(found: dict, path: str) -> None:
    """Draw the ratios; the kind of picture is told by the file's name."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures = [figure for figure, values in found.items() if ratio(values) and not figure.startswith("floor")]
    picture, axes = pyplot.subplots(figsize=(9, 0.4 * len(figures) + 1))
    axes.barh(figures, [ratio(found[figure]) for figure in figures], color="tab:blue")
    asked = [(RATIOS[figure][0], row) for row, figure in enumerate(figures) if figure in RATIOS]
    axes.plot(*zip(*asked), "k|", markersize=14, label="asked for") if asked else None
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("times less than the reference")
    picture.tight_layout()
    picture.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=(__doc__ or "").split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often all is measured")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(GROUPS),
        default=list(GROUPS),
        metavar="GROUP",
        help="measure only these: " + ", ".join(GROUPS),
    )
    parser.add_argument("--reference", metavar="PYTHON", help="a Python that has the reference")
    parser.add_argument("--json", metavar="FILE", help="write all values, too")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios, into .svg or .png")
    parser.add_argument("--check", action="store_true", help="fail where a ratio is far below what was reached")
    options = parser.parse_args()
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error('--plot needs matplotlib: pip install ".[dev]"')
    with tempfile.TemporaryDirectory(prefix="openjd_adapt-bench-") as name:
        folder = Path(name)
        python = options.reference or make_reference(folder / "venv")
        sides = [Side("ours", sys.executable, folder), Side("reference", python, folder)]
        found = measure(sides, options.only, options.rounds)
    print(table(found))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    if options.plot:
        plot(found, options.plot)
    bad = [figure for figure, values in found.items() if figure in RATIOS and ratio(values) < RATIOS[figure][2]]
    if options.check and bad:
        sys.exit("far below what was reached: " + ", ".join(bad))
    if options.only == list(GROUPS) and set(RATIOS) - set(found):
        sys.exit("not measured: " + ", ".join(sorted(set(RATIOS) - set(found))))


if __name__ == "__main__":
    main()
