"""``python -m openjd_adapt --adaptor package.module:Class COMMAND …``: any adaptor, without an entry point."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
