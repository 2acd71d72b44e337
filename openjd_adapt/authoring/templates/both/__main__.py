"""The command line: python -m my_render."""

from openjd_adapt import EntryPoint

from . import MyRender


def main():
    EntryPoint(MyRender).start()


if __name__ == "__main__":
    main()
