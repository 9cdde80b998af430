"""``python -m humfind``."""

from humfind.cli import main

if __name__ == "__main__":
    main()
