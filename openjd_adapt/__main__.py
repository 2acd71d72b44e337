"""``python -m openjd_adapt --adaptor package.module:Class COMMAND …``: any adaptor, without an entry point."""

from .cli import main

if __name__ == "__main__":
    main()
