"""The stop ladder: how a process and all below it are ended, rung by rung, by a deadline that only comes closer."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Protocol

    class Victim(Protocol):
        """What is to be ended. Each asking tells whether it could be done."""

        @property
        def is_running(self) -> bool: ...

        def ask_over_channel(self) -> bool: ...

        def ask_by_signal(self) -> bool: ...

        def wait_until(self, end: Callable[[], float]) -> object:
            """Wait for its end until ``end()``, which is asked again whenever the cancel's deadline has changed."""

        def kill(self) -> None: ...


#: How long, in seconds, a process may take to end after it was asked, unless told otherwise.
GRACE_SECONDS = 60.0

#: The rungs, each with the part of the whole time that is over when the next one is climbed.
RUNGS: tuple[tuple[Callable[[Victim], bool], float], ...] = (
    (lambda victim: victim.ask_over_channel(), 0.5),
    (lambda victim: victim.ask_by_signal(), 1.0),
)
#: What is left of a cancel's time for the adaptor's own cleanup: a tenth, but not less than this many seconds.
LEAST_RESERVE_SECONDS = 0.5


def climb(
    victim: Victim,
    grace: float,
    remaining: Callable[[], float | None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask, wait, and kill in the end what is left of ``victim`` and of all below it.

    ``grace``: seconds that the asking may take. ``remaining``: seconds until the deadline of a cancel, None without
    one; it is asked throughout, as a further cancel may shorten it while the ladder waits.
    """
    begin = clock()

    def top() -> float:
        left = remaining()
        if left is None:
            return begin + grace
        deadline = clock() + left
        return min(begin + grace, deadline - max(LEAST_RESERVE_SECONDS, (deadline - begin) / 10))

    for ask, part in RUNGS:
        if victim.is_running and top() > clock() and ask(victim):
            victim.wait_until(lambda part=part: begin + part * (top() - begin))  # type: ignore[misc]
    victim.kill()
