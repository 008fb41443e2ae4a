"""The ablations of the GAM paper, tables 1 and 2, at one small budget for each variant.

    python scripts/gam_ablations.py --portraits DATASET... --held-out CLIP... [options]

Every variant starts as the recipe does: with the backbone of the bundled weights, and everything
else from random numbers, drawn anew for each seed. Every fifth frame of the held-out clips is
scored, except the first frame, whose mask is given.
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from labeler.files import write_atomically
from labeler.metrics import clip_scores, dataset_scores
from labeler.reference import ReferenceBook
from model.data.folders import clips_from
from model.data.layouts import portraits_from
from model.data.sources import Sources, Take
from model.engine import trainable_engine
from model.loading import find_device, load_segmenter
from model.measure.truth import truth_of_take
from model.segmenter import Segmenter
from model.training.run import CardDraft, TrainingSettings, train

VARIANTS = {
    "all of it": {},
    "without CAM (table 1)": {"channel_attention": False},
    "without MEM (table 2)": {"mask_embedding": False},
}


def main() -> None:
    """Train and score every variant with every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--portraits", type=Path, action="append", required=True)
    parser.add_argument("--objects", type=Path, action="append", default=[])
    parser.add_argument("--held-out", action="append", required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/gam-ablations"))
    arguments = parser.parse_args()
    sources = Sources()
    for folder in arguments.portraits:
        sources += portraits_from(folder)
    for folder in arguments.objects:
        sources += Sources(objects=clips_from(folder))
    training, held_out = sources.split(arguments.held_out)
    scores = {
        name: [scored(name, seed, training, held_out, arguments) for seed in range(n)]
        for n in [arguments.seeds]
        for name in VARIANTS
    }
    write_atomically(arguments.out / "ablations.json", json.dumps(scores).encode())
    table = Table("variant", "J&F", "lowest", "highest", box=None)
    for name, found in scores.items():
        numbers = [statistics.mean(found), min(found), max(found)]
        table.add_row(name, *(f"{100 * n:.1f}" for n in numbers))
    Console().print(table)


def scored(
    name: str, seed: int, sources: Sources, held_out: Sources, arguments: argparse.Namespace
) -> float:
    """Train a variant with a seed, unless that was done before, and return its J&F."""
    part = "-".join(f"no-{part}" for part in VARIANTS[name]) or "whole"
    folder: Path = arguments.out / f"{part}-seed{seed}"
    device = find_device(arguments.device)
    train(
        sources,
        replace(
            trainable_engine("gam").recipe(),
            network=VARIANTS[name],
            size=arguments.size,
            batch_size=arguments.batch_size,
        ),
        folder,
        TrainingSettings(device, steps=arguments.steps, seed=seed),
        CardDraft(
            [path.name for path in arguments.portraits],
            "research only",
            input_size=2 * arguments.size,
        ),
    )
    segmenter, _ = load_segmenter(str(folder), device=str(device), alone=True)
    return dataset_scores([clip_scores(*of_clip(segmenter, t)) for t in held_out.clips]).j_and_f


def of_clip(segmenter: Segmenter, take: Take) -> tuple[list[float], list[float]]:
    """J and F of the frames after the first."""
    truth = truth_of_take(take)
    first, *rest = truth.measured
    book = ReferenceBook([truth.reference(first)])
    masks = {each.frame: each.mask for each in segmenter.segment(truth.frames, rest, book)}
    return (
        [truth.region(frame, mask) for frame, mask in masks.items()],
        [truth.boundary(frame, mask) for frame, mask in masks.items()],
    )


if __name__ == "__main__":
    main()
