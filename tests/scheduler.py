"""A scheduler in one file: plays a session of a job template with openjd-sessions, also as another user.

Arguments: the template, the user or nothing, the folder for sessions, the job's parameters and the session's variables
as JSON, in which $$ stands for the pid of this process.
Prints ``folder PATH``, ``progress`` as soon as a task has made some, and a JSON list for each action that has ended:
what it was, its state and its exit code; then a list of what the user has left in the session's folder, which is
removed after that. A line on standard input cancels the running action. The session ends with the first task that does
not succeed. The log goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

from openjd.model import (
    DocumentType,
    StepParameterSpaceIterator,
    create_job,
    decode_job_template,
    document_string_to_object,
    preprocess_job_parameters,
)
from openjd.sessions import LOG, ActionState, PosixSessionUser, Session


def main(template: str, user: str, root: str, parameters: str, variables: str) -> None:
    LOG.addHandler(logging.StreamHandler(sys.stderr))
    document = document_string_to_object(document=Path(template).read_text(), document_type=DocumentType.YAML)
    job_template = decode_job_template(template=document)
    values = preprocess_job_parameters(
        job_template=job_template,
        job_parameter_values=json.loads(parameters),
        job_template_dir=Path(template).parent,
        current_working_dir=Path(root),
        allow_job_template_dir_walk_up=True,
    )
    [step] = create_job(job_template=job_template, job_parameter_values=values).steps
    [environment] = step.stepEnvironments
    ended = threading.Event()

    def on_change(session_id, status):
        if status.state != ActionState.RUNNING:
            ended.set()
        elif status.progress:
            print("progress", flush=True)

    session = Session(
        session_id="session",
        job_parameter_values=values,
        user=PosixSessionUser(user, group=user) if user else None,
        callback=on_change,
        os_env_vars=json.loads(variables.replace("$$", str(os.getpid()))),
        session_root_directory=Path(root),
    )
    print("folder", session.working_directory, flush=True)
    threading.Thread(target=lambda: [session.cancel_action() for _ in sys.stdin], daemon=True).start()

    def play(name, act, **arguments):
        ended.clear()
        result = act(**arguments)
        ended.wait()
        status = session.action_status
        print(json.dumps([name, status.state.value, status.exit_code]), flush=True)
        return result, status.state == ActionState.SUCCESS

    with session:
        identifier, well = play("enter", session.enter_environment, environment=environment)
        for task in StepParameterSpaceIterator(space=step.parameterSpace):
            if well:
                _, well = play("task", session.run_task, step_script=step.script, task_parameter_values=task)
        play("exit", session.exit_environment, identifier=identifier)
        paths = session.working_directory.rglob("*")
        print(json.dumps([str(path) for path in paths if path.lstat().st_uid != os.geteuid()]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
