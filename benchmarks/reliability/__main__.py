"""``python -m benchmarks.reliability attack [--tries N] [--seed N] [--replay N ...] [--write]``."""

from __future__ import annotations

import argparse

from benchmarks.reliability import attack


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("attack", help="hostile commands, each judged by what it printed, wrote and left alone")
    one.add_argument("--tries", type=int, default=1000)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--replay", type=int, nargs="*", default=None, help="only these tries, with what they printed")
    one.add_argument("--write", action="store_true", help="write docs/reliability/attack.md")
    attack.main(one_parsed=parser.parse_args())


if __name__ == "__main__":
    main()
