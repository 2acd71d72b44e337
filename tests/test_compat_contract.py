"""The public modules of the reference against those of ``compat``, name by name and signature by signature.

``OPENJD_ADAPT_REFERENCE`` names a folder in which pip has installed the reference (``pip install --target``) for this
Python.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from .conftest import HANG_SECONDS, ROOT
from .published import REFERENCE, needs_reference

_ADAPTOR = r"adaptors\.(Adaptor|BaseAdaptor|CommandAdaptor)"
_CLIENT = r"client\.(HTTP)?ClientInterface"

#: What differs, as a pattern of its whole line, and why it may.
REASONS = {
    # Nobody who keeps to the reference notices what is added.
    _ADAPTOR + r"\.(cancelled|sleep): added": "waits that a cancel ends",
    _ADAPTOR + r"\.(line_handler|watch|progress_span|report_progress): added": "lines watched as declared",
    _ADAPTOR + r"\.\w+_timeout: added": "time bounds, by the same names on every kind of adaptor",
    _ADAPTOR + r"\.(set_env|unset_env|redact_env): added": "the session's environment variables",
    r"adaptors\.configuration\.\w+\.(DEFAULTS|check|given|log_level): added": "defaults and checks of the class",
    r"adaptors\.configuration\.ConfigurationManager\.(explain|layers): added": "which file has set a key",
    _ADAPTOR + r"\.apply_defaults: added": "its schemas' defaults are filled in",
    r"adaptors\.AdaptorDataValidator\.(schema|document|fill): added": "what a job template is made of; defaults",
    r"adaptors\.AdaptorDataValidators\.validator_cls: added": "so that compat's raise jsonschema's errors",
    r"adaptors\.AdaptorDataValidator\.(__init__|validate): \+where": "where the data come from, for the message",
    r"app_handlers\.RegexHandler\.(awake|only_calls_back): added": "lines are watched without a record",
    r"application_ipc\.ActionsQueue\.(on_enqueue|put_back|withdraw): added": "an action need not be polled for",
    r"application_ipc\.AdaptorServer\.(close_application|listen): added": "an application is asked to end, and heard",
    r"client\.Action\.(call|frame|seal): added": "an action may be answered, and is encoded once",
    r"client\.Action\.__init__: \+call": "an action may be answered",
    r"client\.PathMappingRule\.(apply|from_dict|to_dict|depth): added": "one class serves adaptor and client",
    r"adaptors\.PathMappingRule\.(depth|destination_os|source_path_format): added": "as in the client's class",
    r"process\.LoggingSubprocess\.(last_\w+|settle|close_stdin|wait_quietly|is_done): added": "for applications",
    r"process\.LoggingSubprocess\.__init__: \+(merge_output|on_end)": "one pipe for both streams; who hears of the end",
    r"process\.LoggingSubprocess\.__init__: \+env": "an environment that is not os.environ",
    r"process\.LoggingSubprocess\.__init__: \+watcher": "what an adaptor watches for, beside the handlers",
    r"process\.ManagedProcess\.(get_environment|grace_seconds|success_exit_codes): added": "how it starts and ends",
    r"process\.ManagedProcess\.(encoding|extra_environment|merge_output): added": "likewise, and what it writes",
    r"process\.StreamLogger\.settle: added": "what waits take",
    r"process\.StreamLogger\.__init__: \+(handlers|encoding|owner)": "lines are watched, for a task",
    # What must be there in the reference, and may be here.
    _ADAPTOR + r": need not define integration_data_interface_version": "0.1 without it",
    r"adaptors\.BaseAdaptor: need not define _(start|stop|cleanup)": "they do nothing without it",
    _CLIENT + r": need not define (close|graceful_shutdown)": "they end poll without it",
    _CLIENT + r"\.close: args may be left out": "there are none to give",
    r"client\.PathMappingRule\.__init__: destination_os may be left out": "as in the adaptor's class",
    r"adaptors\.PathMappingRule\.__init__: \w+ may be positional": "as in the client's class",
    # What is not here.
    r"application_ipc\.AdaptorServer: is no (BaseServer|TCPServer|UnixStreamServer)": "it polls, and takes in anybody",
    r"application_ipc\.AdaptorServer\.(serve_forever|server_path): added": "its own, and not socketserver's",
    r"(application_ipc\.AdaptorServer|" + _CLIENT + r")\.socket_path: missing": "deprecated there for server_path",
    _CLIENT + r"\.__init__: -kwargs": "took socket_path alone, which is deprecated there",
    r"_osname\.OSName\.__init__: missing": "__new__ does it all",
}


def names(folder: str) -> dict:
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    program = os.path.join(os.path.dirname(__file__), "compat_names.py")
    out = subprocess.check_output([sys.executable, "-W", "ignore", program], env=environment, timeout=60)
    return json.loads(out.decode())


def differences(theirs: dict, ours: dict):
    """A line for each; none for what can be called alike."""
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs or name not in ours:
            yield "%s: %s" % (name, "missing" if name in theirs else "added")
            continue
        there, here = theirs[name], ours[name]
        if there.get("kind") != here.get("kind"):
            yield "%s: is %s, and not %s" % (name, here.get("kind"), there.get("kind"))
        for words, text in (("bases", "is no %s"), ("abstract", "need not define %s")):
            for word in set(there.get(words, ())) - set(here.get(words, ())):
                yield "%s: %s" % (name, text % word)
            for word in set(here.get(words, ())) - set(there.get(words, ())):
                yield "%s: unlike the reference %s %s" % (name, words, word)
        if "call" in there:
            yield from called_differently(name, there["call"], here["call"])
        there, here = there.get("members", {}), here.get("members", {})
        for member in sorted(there.keys() | here.keys()):
            place = "%s.%s" % (name, member)
            if member not in there or member not in here:
                yield "%s: %s" % (place, "missing" if member in there else "added")
            elif "attribute" in (there[member], here[member]):
                if there[member] != here[member]:
                    yield "%s: is %s, and not %s" % (place, here[member], there[member])
            else:
                yield from called_differently(place, there[member], here[member])


def called_differently(place: str, theirs: list, ours: list):
    there, here = ({name: (kind, needed) for name, kind, needed in side} for side in (theirs, ours))
    for name in there.keys() - here.keys():
        yield "%s: -%s" % (place, name)
    for name in here.keys() - there.keys():
        yield "%s: %s%s" % (place, "needs " if here[name][1] else "+", name)
    for name in there.keys() & here.keys():
        if there[name][0] != here[name][0]:
            gained = (there[name][0], here[name][0]) == ("KEYWORD_ONLY", "POSITIONAL_OR_KEYWORD")
            yield "%s: %s %s" % (place, name, "may be positional" if gained else "is %s" % here[name][0])
        if there[name][1] != here[name][1]:
            yield "%s: %s %s" % (place, name, "may be left out" if there[name][1] else "must be given")
    common = [name for name in here if name in there]
    if common != [name for name in there if name in here]:
        yield "%s: the parameters stand in another order" % place


@needs_reference
def test_every_difference_of_names_and_signatures_has_its_reason():
    lines = differences(names(REFERENCE), names(str(ROOT / "openjd_adapt" / "compat")))
    found = [line.replace("adaptor_runtime_", "").replace("adaptor_runtime.", "") for line in lines]
    patterns = {pattern: re.compile(pattern) for pattern in REASONS}
    unexplained = [line for line in found if not any(pattern.fullmatch(line) for pattern in patterns.values())]
    assert unexplained == []
    idle = [name for name, pattern in patterns.items() if not any(pattern.fullmatch(line) for line in found)]
    assert idle == []


def test_differences_are_found():
    there = {"a.C": {"members": {"x": "attribute", "f": [["p", "POSITIONAL_OR_KEYWORD", False]]}, "bases": ["str"]}}
    here = {"a.C": {"members": {"f": [["p", "KEYWORD_ONLY", True], ["q", "KEYWORD_ONLY", True]]}, "bases": []}, "b": {}}
    assert set(differences(there, here)) == {
        "a.C: is no str",
        "a.C.x: missing",
        "a.C.f: p is KEYWORD_ONLY",
        "a.C.f: p must be given",
        "a.C.f: needs q",
        "b: added",
    }


@needs_reference
def test_the_reference_passes_the_tests_of_behaviour_too(tmp_path):
    environment = {
        **{name: value for name, value in os.environ.items() if name != "OPENJD_ADAPT_NO_SKIP"},
        "OPENJD_ADAPT_COMPAT": REFERENCE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path),  # into which the reference writes
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    command += ["--basetemp", str(tmp_path / "base"), "tests/test_compat_behaviour.py"]
    done = subprocess.run(command, cwd=str(ROOT), env=environment, stdout=subprocess.PIPE, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout.decode()
