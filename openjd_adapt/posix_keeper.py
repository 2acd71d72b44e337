"""Linux and macOS: the keeper's process, from what it inherits of the command that starts it."""

from __future__ import annotations

import _socket  # as in posix_endpoint
import sys

assert sys.platform != "win32"  # for type checkers

from . import system
from .address import Address
from .keeper import keep
from .peer import Peer
from .plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def serve(starter: int, lifeline: int, address: dict[str, Any] | None, groups: int | None) -> None:
    """Be the keeper that a command has started: take its plan, and keep.

    ``starter``, ``lifeline`` and ``groups`` are descriptors of what :class:`Keeper` asks for, ``address`` is what
    :meth:`Address.to_dict` gives.
    """
    connection = _socket.socket(fileno=starter)
    plan = Plan.receive(connection)
    if plan is None:
        return  # the command was killed before it had said what to do; the guardian tidies up
    plan.address = Address.from_dict(address) if address else None
    keep(plan, Peer(connection), lifeline, None if groups is None else system.Ledger(groups))
