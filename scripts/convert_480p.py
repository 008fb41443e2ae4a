"""Make the 480p pictures and masks of a dataset from its full resolution, as `mvps resize` does.

    python scripts/convert_480p.py DATASET

Run it again after an interruption: it goes on where it was.
"""

import argparse
from pathlib import Path

from labeler.console import progress, say, spoken_errors
from labeler.publish.resize import resize_dataset


def main() -> None:
    """Convert, with a progress bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="a folder in the MVPS layout")
    dataset = parser.parse_args().dataset
    with spoken_errors(), progress(f"480p of {dataset}") as update:
        count = resize_dataset(dataset, update)
    say(f"{dataset}: {count} pictures and masks at 480p")


if __name__ == "__main__":
    main()
