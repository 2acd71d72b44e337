"""Linux and macOS: the module ``signal`` without its enums, which cost a guardian more than all else that it has."""

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
