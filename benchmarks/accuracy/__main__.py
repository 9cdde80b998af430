"""``python -m benchmarks.accuracy``: see ``benchmarks/accuracy/rankers.py``."""

from benchmarks.accuracy.rankers import main

if __name__ == "__main__":
    main()
