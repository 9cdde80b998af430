"""``python -m humfind``, and the ``humfind`` command."""

import sys


def main() -> None:
    """Run the command; Ctrl-C while it is still being imported ends quietly too."""
    try:
        from humfind.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
