"""``python -m openjd_adapt --adaptor package.module:Class COMMAND …``: any adaptor, without an entry point."""

from __future__ import annotations

from .entry_point import command_line

if __name__ == "__main__":
    command_line().main()
