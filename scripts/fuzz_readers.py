"""Damages small datasets of every layout at random, and reads them as an import does.

Prints how many datasets of each layout were read, and the first seed of each layout at which a
reader crashed, took more than a gigabyte, or lost a clip without a word; then the exit code is 1.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.labeler.fuzzing import MAKERS, fuzz


def main() -> None:
    """Fuzz every layout for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="in all; default: ten minutes")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--layout", choices=MAKERS, action="append", help="only this layout")
    wanted = parser.parse_args()
    layouts = wanted.layout or list(MAKERS)
    wrong = 0
    for layout in layouts:
        read, fault = fuzz(layout, wanted.seconds / len(layouts), wanted.seed)
        print(f"{layout}: {read} read{', then ' if fault else ''}{fault}", flush=True)
        wrong += bool(fault)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
