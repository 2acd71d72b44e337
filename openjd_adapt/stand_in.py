"""Runs adaptors that were written for the reference: puts its import names, in ``compat``, first on the path."""

from __future__ import annotations

import os

from . import system
from .errors import InputError, ProgramNotFound, ProgramNotStarted
from .front import answer
from .peer import PACKAGE

#: What PYTHONPATH must have for ``import openjd.adaptor_runtime`` to get this package.
FOLDER = os.path.join(PACKAGE, "compat")

_HELP = """\
usage: python -m openjd_adapt compat [-- COMMAND ...]

Print the folder with the import names of openjd-adaptor-runtime, or run a command with it first in PYTHONPATH.

Example: compat -- blender-openjd run --init-data file://init.yaml --run-data file://run.yaml
"""


def run(arguments: list[str]) -> int:
    """Print the folder, or run the command that stands behind ``--`` with it.

    Raises :class:`InputError` for anything else, :class:`ProgramNotStarted` if the command cannot be started.
    """
    if not arguments:
        return answer(FOLDER + "\n")
    if arguments[0] in ("-h", "--help"):
        return answer(_HELP)
    command = arguments[1:]
    if arguments[0] != "--" or not command:
        raise InputError("compat: give nothing, or -- and a command; not %s" % " ".join(arguments))
    try:
        return system.hand_over(command, environment())
    except OSError as error:
        kind = ProgramNotFound if isinstance(error, FileNotFoundError) else ProgramNotStarted
        raise kind("compat: cannot run %s: %s" % (command[0], error.strerror)) from None


def environment() -> dict[str, str]:
    """This process's environment with the folder first in PYTHONPATH."""
    rest = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place and place != FOLDER]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([FOLDER, *rest])}
