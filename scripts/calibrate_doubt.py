"""Fit the uncertainty of weights to 1 - J on clips with true masks, and write it into their card.

    python scripts/calibrate_doubt.py FOLDER DATASET... [--pictures FOLDER] [--write]

FOLDER holds the weights. Each clip of each DATASET is masked with nothing given and with its first
mask given, each of the pictures with nothing given; pictures should be some that were kept out of
the training, and so should clips. Printed is, for each dataset, the mean uncertainty beside the
mean of 1 - J and their rank correlation (Spearman): of each clip with the numbers fitted on all
other clips, never on itself. Written are the numbers fitted on all of them.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from labeler.layouts.mvps import open_dataset
from labeler.reference import ReferenceBook
from model.card import read_card, write_card
from model.data.layouts import portraits_from
from model.drivers.doubt import Calibration
from model.loading import load_segmenter
from model.measure.truth import TruthClip, load_truth, measured_clips, truth_of_picture
from model.segmenter import Segmenter


@dataclass(frozen=True)
class Doubt:
    """The uncertainty of a mask before it is calibrated, and its 1 - J."""

    group: str
    clip: str
    given: int
    uncertainty: float
    error: float


def main() -> None:
    """Measure, fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    segmenter, _ = load_segmenter(str(arguments.weights), calibrated=False)
    doubts: list[Doubt] = []
    for folder in arguments.datasets:
        dataset = open_dataset(folder)
        for name in measured_clips(dataset):
            doubts += doubts_of(folder.name, load_truth(dataset, name), segmenter)
    if arguments.pictures:
        for still in portraits_from(arguments.pictures).stills:
            doubts += doubts_of(arguments.pictures.name, truth_of_picture(still), segmenter)
    report(doubts)
    found = fitted(doubts)
    print(json.dumps(asdict(found)))
    if arguments.write:
        card = read_card(arguments.weights)
        write_card(arguments.weights, replace(card, doubt=asdict(found)))


def doubts_of(group: str, clip: TruthClip, segmenter: Segmenter) -> Iterator[Doubt]:
    """Mask a clip with nothing given, and with its first mask given."""
    first, *others = clip.measured
    for given, targets in ((0, [first, *others]), (1, others)):
        references = [clip.reference(first)] if given else []
        book = ReferenceBook(references, segmenter.choice)
        for found in segmenter.segment(clip.frames, targets, book):
            error = 1 - clip.region(found.frame, found.mask)
            yield Doubt(group, clip.name, given, found.uncertainty, error)


def fitted(doubts: list[Doubt]) -> Calibration:
    """Fit the numbers to all masks."""
    return Calibration.fitted([d.uncertainty for d in doubts], [d.error for d in doubts])


def report(doubts: list[Doubt]) -> None:
    """Print how each group does by numbers fitted on the other clips."""
    of_others = {
        clip: fitted([d for d in doubts if d.clip != clip]) for clip in {d.clip for d in doubts}
    }
    print("masks given, before, calibrated, 1 - J, rank correlation, masks")
    for group, given in sorted({(d.group, d.given) for d in doubts}):
        of_group = [d for d in doubts if (d.group, d.given) == (group, given)]
        before = np.array([d.uncertainty for d in of_group])
        after = np.array([of_others[d.clip].of(d.uncertainty) for d in of_group])
        errors = np.array([d.error for d in of_group])
        print(
            f"{group} {given}: {before.mean():.3f} {after.mean():.3f} {errors.mean():.3f} "
            f"{spearmanr(after, errors)[0]:.2f} {len(of_group)}"
        )


if __name__ == "__main__":
    main()
