"""Linux and macOS: the module ``signal``, for a guardian: without the enums that are a fifth of such a process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    try:
        import _signal as signal  # the same functions, and the numbers as numbers
    except ImportError:
        import signal

__all__ = ["signal"]
