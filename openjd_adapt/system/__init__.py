"""The few things that differ between operating systems, one name each; the only place that picks between them.

===============================  ====================================================================================
``ASKABLE_OPTIONS``              the arguments of ``subprocess.Popen`` that make :func:`ask` possible
``BROKEN``                       a descriptor is of no use any more
``Bell``                         rung by any thread, heard by a loop
``CANCEL_SIGNALS``               the signals that cancel a command
``CHILD_SIGNALS``                the signals that tell of a child's end
``Endpoint``                     where a daemon listens
``FORKS``                        whether guardian and keeper can be forked
``GROUP_OPTIONS``                the arguments of ``subprocess.Popen`` that give a child a process group of its own
``KEYED``                        whether peers must prove that they know the connection file's key
``READ``                         a descriptor can be read
``StandardOutput``               standard output, for a loop that must never block
``TERMINATION``                  the signal by which others ask a process to end
``Tree``                         a child and all below it: ask them to end, kill them
``UNCONTAINED``                  what this host lacks where what an adaptor starts can escape, in words
``WRITE``                        a descriptor takes more
``Wakeup``                       a bell that signals ring, too
``Worker``                       the process of an adaptor, with all below its keeper: output, control, end
``accept``                       take the next connection
``ask``                          ask a child command to end, as a scheduler does; False if it was killed instead
``catch_termination``            be told when this process is asked to end
``children``                     the pids of this process's children
``configuration_folder``         where the host's configuration lies
``create_private``               make a file that this user alone may open
``descendants``                  the pids of all below a process
``ensure_standard_descriptors``  leave none of standard input, output and error closed, nor its stream absent
``finish``                       the last that a command does
``give_name``                    rename a file, but never over another
``hand_over``                    run another program to its end, in place of this one where that is possible
``is_locked``                    whether a daemon holds that lock
``is_readable``                  whether a socket has something to read
``kill``                         kill a process of somebody else's, if it is still the one that is meant
``kill_children``                kill and reap every child, and what becomes a child by that, until none is left
``kill_own_group``               kill this process and its group
``leave``                        end this process at once, without what its parent registered for its own end
``lock``                         take the lock that tells that a daemon lives
``long_path``                    the form of a path that may be as long as the file system allows
``make_private_folder``          a folder that this user alone may enter
``name_of``                      the name of a process
``open_private``                 open a file that must be this user's alone
``path_of_uri``                  the path that stands behind file://
``peer_is_me``                   whether the other end of a local socket runs as this user
``prepare_command``              what to start for a command
``read_at``                      bytes of an open file, at a place
``remove_private_folder``        remove it, and nothing that somebody may have put in its place
``reset_signals``                undo the signal settings that a caller has left
``settle``                       let what was sent reach the other process before this one ends
``signal``                       the module of that name, without what short commands have no time to load
``start_time``                   when a process started, in the host's own units; 0 where it cannot be told
``takes_more``                   whether a line can be written to a standard stream without waiting for its reader
``temporary_folder``             where private folders are made
``wait_for``                     wait until descriptors are ready for what is wanted
``wait_for_lock``                block until nobody else holds that lock, and hold it
``wait_readable``                wait until a pipe has something to read
``wait_unreaped``                wait for a child's end, leaving its pid in place
``wake``                         let a process go on that somebody has stopped
``worker_control``               in the adaptor's process: its end of the control
``write_at``                     put bytes into an open file, at a place
===============================  ====================================================================================

Only where processes can be forked (Linux, macOS):

===============================  ====================================================================================
``Ledger``                       the groups of a daemon, for hosts where its orphans are nobody's to find
``become_subreaper``             make orphaned descendants this process's children; False where that cannot be had
``close_inherited``              close every descriptor but a few
``has_ended``                    whether a child has ended, leaving its pid in place
``set_title``                    what ``ps`` shows for a fork
``silence``                      leave nothing of the command's standard input, output and error open
``worker_groups``                in the adaptor's process: its list of groups
===============================  ====================================================================================

Only where they cannot (Windows):

===============================  ====================================================================================
``start_keeper``                 start a keeper as a process of its own
``starter_of_keeper``            in the keeper's process: its connection to the command that has started it
===============================  ====================================================================================
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows import *  # noqa: F403
    from .windows_processes import *  # noqa: F403
else:
    from .posix import *  # noqa: F403
    from .posix_children import *  # noqa: F403
    from .posix_processes import *  # noqa: F403
