"""The one contract with the operating system: what differs between systems has one name here, and is picked here alone.

Each name stands in ``__all__`` of a module of either system, and its docstring there says what it does; a test holds
the two beside each other. Only where processes can be forked (:data:`FORKS`: Linux, macOS) are there ``Ledger``,
``become_subreaper``, ``close_inherited``, ``has_ended``, ``set_title``, ``silence`` and ``worker_groups``; only where
they cannot (Windows) ``start_keeper``, ``starter_of_keeper`` and ``is_doomed``.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows import *  # noqa: F403
    from .windows_processes import *  # noqa: F403
else:
    from .posix import *  # noqa: F403
    from .posix_processes import *  # noqa: F403
