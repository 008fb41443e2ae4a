"""Divide the clips of a dataset into train and test, and count both, as `mvps split` does.

    python scripts/split_train_test.py DATASET [--test-share 0.4] [--seed 0] [--stratified]

Clips that are in ImageSets/train.txt or test.txt already stay there, unless --anew is given.
"""

import argparse
from pathlib import Path

from labeler.console import say, say_json, spoken_errors
from labeler.publish.lists import split_dataset
from labeler.publish.split import TEST_SHARE


def main() -> None:
    """Write the two lists and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="a folder in the MVPS layout")
    parser.add_argument("--test-share", type=float, default=TEST_SHARE, help="0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stratified", action="store_true", help="the same share in each scenario")
    parser.add_argument("--anew", action="store_true", help="also draw clips that are in a list")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with spoken_errors():
        report = split_dataset(
            options.dataset,
            options.test_share,
            options.seed,
            stratified=options.stratified,
            anew=options.anew,
        )
    say_json(report.to_json()) if options.json else say("\n".join(report.lines()))


if __name__ == "__main__":
    main()
