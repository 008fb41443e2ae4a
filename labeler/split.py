"""Which clips train the network and which test it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labeler.errors import LabelerError
from labeler.files import write_atomically

SPLITS = ("train", "test")
"""The lists of the MVPS layout, each `ImageSets/<name>.txt`."""


@dataclass(frozen=True)
class Split:
    """The clips to train on and the clips to test on, each by name; no clip is in both."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def split_clips(names: Iterable[str], test_share: float = 0.4, seed: int = 0) -> Split:
    """Split clips at random into train and test, whole clips only (PDNet paper, section 3.1).

    Each clip is ranked by a hash of the seed and its name, and the first of the ranking are the
    test clips. So the split depends on nothing but the set of names, the share and the seed, on
    every machine, and a new clip moves at most one clip across, whatever its place in the input.

    Args:
        names: the clips, in any order; a name given twice counts once.
        test_share: the share of the clips to test on, 0 to 1, rounded to whole clips; one clip
            is always left to train on.
        seed: another seed is another split.

    Raises:
        LabelerError: there is no clip, or the share is not within 0 and 1.

    >>> split_clips(["lucia", "hike", "swing"])
    Split(train=('lucia', 'swing'), test=('hike',))
    """
    if not 0 <= test_share <= 1:
        raise LabelerError(f"A test share of {test_share} is not within 0 and 1; give 0.4, say.")
    ranked = sorted(set(names), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    if not ranked:
        raise LabelerError("There are no clips to split; export or import some first.")
    tests = min(int(test_share * len(ranked) + 0.5), len(ranked) - 1)
    return Split(train=tuple(sorted(ranked[tests:])), test=tuple(sorted(ranked[:tests])))


def write_split(folder: Path, split: Split) -> None:
    """Write the two lists of a dataset in the MVPS layout, one clip a line."""
    lists = folder / "ImageSets"
    lists.mkdir(parents=True, exist_ok=True)
    for name, clips in zip(SPLITS, (split.train, split.test), strict=True):
        write_atomically(lists / f"{name}.txt", "".join(f"{clip}\n" for clip in clips).encode())
