"""Runs the core tests that touch the system most inside Blender, by its own Python, in which clients live.

    blender --background --python-exit-code 1 --python tests/inside_blender.py -- PYTEST

PYTEST is a folder into which ``pip install --target`` has put pytest, pytest-timeout and hypothesis.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
[place] = sys.argv[sys.argv.index("--") + 1 :]
sys.path[:0] = [ROOT, place]
os.chdir(ROOT)
sys.argv = ["pytest"]

import pytest  # noqa: E402

sys.exit(int(pytest.main(["-q", "-m", "core and windows_core and not once and not long"])))
