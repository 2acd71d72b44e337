#!/bin/bash
# published.sh DEST   adaptors as PyPI has them, in a virtual environment DEST, without the package that they are written for.
set -euo pipefail
python3 -m venv "$1"
"$1/bin/python" -m pip install --quiet deadline==0.60.10 jsonschema
"$1/bin/python" -m pip install --quiet --no-deps \
    deadline-cloud-for-{blender==0.6.9,maya==0.15.21,nuke==0.18.20,houdini==0.7.14} \
    deadline-cloud-for-{cinema-4d==1.0.1,keyshot==0.99.0,after-effects==0.99.0,3ds-max==0.4.2,unreal-engine==1.1.0}
