"""Runs tests inside Blender, by its own Python, in which the toolkit is vendored and clients live.

    blender --background --python-exit-code 1 --python tests/inside_blender.py -- PYTEST

PYTEST is a folder into which ``pip install --target`` has put pytest, pytest-timeout and hypothesis. What is left out
makes hundreds of processes one after the other, and finds the same in each Python.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, sys.argv[-1]]
os.chdir(ROOT)
sys.argv = ["pytest"]

import pytest  # noqa: E402

MODULES = [
    *("actions", "archive", "channel", "compat", "config", "daemon", "data", "desk", "formats", "handshake", "keeper"),
    *(
        "ladder",
        "launch",
        "lifecycle",
        "lines",
        "loop",
        "messages",
        "needles",
        "output",
        "package",
        "paths",
        "patterns",
    ),
    *("patterns", "plan", "posix_files", "posix_tree", "posix_worker", "process", "ranges", "run", "scalars", "schema"),
    *("session", "spool", "task", "testing", "validators", "versions", "vigil", "wire", "yaml"),
]
sys.exit(int(pytest.main(["-q", "-m", "not long", *("tests/test_%s.py" % name for name in MODULES)])))
