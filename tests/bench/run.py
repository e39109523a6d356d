#!/usr/bin/env python3
"""Measures Weir, side by side with the servers that it is compared with. README.md says what the lines are."""

import argparse
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import alone  # noqa: E402
import peers  # noqa: E402
import side_by_side  # noqa: E402
from figures import say  # noqa: E402
from processes import Failure  # noqa: E402

LINES = {**side_by_side.LINES, **alone.LINES}


def main():
    lines = "\n".join(f"  {name:<24} {work.__doc__.splitlines()[0]}" for name, work in LINES.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"lines:\n{lines}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lines", nargs="*", metavar="LINE", help="what to measure; everything when absent")
    parser.add_argument("--quick", action="store_true", help="one short run of each: to see that it works")
    parser.add_argument("--runs", type=int, help="how often each side runs (default: 5, with --quick 1)")
    parser.add_argument("--weir", type=Path, help="the program; built from this checkout when absent")
    parser.add_argument("--directory", type=Path, help="where data directories are made (default: the system's)")
    parser.add_argument("--ursula-groups", type=int, default=1, help="how many Raft groups Ursula has (default: 1)")
    parser.add_argument("--weir-groups", type=int, default=1, help="how many Weir has beside it, or etcd (default: 1)")
    parser.add_argument("--json", type=Path, help="write all runs and figures to this file")
    options = parser.parse_args()
    unknown = [line for line in options.lines if line not in LINES]
    if unknown:
        parser.error(f"there is no line {', '.join(unknown)}")
    options.runs = options.runs or (1 if options.quick else 5)
    options.weir = (options.weir or peers.weir()).resolve()
    return run(options)


def run(options):
    """Measures the lines one after the other; a line that cannot be measured does not stop the others."""
    done, failed = [], []
    for name in options.lines or LINES:
        try:
            figure = LINES[name](options)
        except Failure as failure:
            say(f"{name}: FAILED: {failure}")
            failed.append(name)
            continue
        print(figure.text(), flush=True)
        done.append(figure)
        if options.json:
            options.json.write_text(json.dumps([figure.json() for figure in done], indent=1) + "\n")
    if failed:
        say(f"not measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
