"""The ablations of the PDNet paper, tables 3, 4 and 5, at one small budget for each variant.

    python scripts/ablations.py --portraits DATASET... --held-out CLIP... --base WEIGHTS [options]

Every variant starts with the encoder of the weights in --base, in place of ImageNet weights, and
with random numbers elsewhere, drawn anew for each seed. The frozen network of the semantic loss has
ImageNet weights: it is the ResNet-18 of the paper or, for a base on EfficientNet-Lite, that body.
If these weights are missing, the training says that the term is off, and the row with the term
equals the row above it. Every fifth frame of the held-out clips is scored, without a given mask.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from labeler.files import write_atomically
from labeler.metrics import clip_scores, dataset_scores
from labeler.reference import ReferenceBook
from model.card import ModelCard, read_card
from model.data.layouts import portraits_from
from model.data.sources import Sources, Take
from model.drivers.matcher import Matcher
from model.engine import trainable_engine
from model.engines.pdnet.paper import first_and_fifth_before
from model.engines.pdnet.recipes import LossWeights
from model.loading import find_device, load_segmenter
from model.measure.truth import truth_of_take
from model.samples.sample_recipe import PAPER
from model.segmenter import Segmenter
from model.training.run import CardDraft, TrainingSettings, train
from model.weights import load_model, save_model

ENCODER = ("body.", "pyramid.", "sides.")
GEOMETRIC = LossWeights(area=0.0, semantic=0.0)
GEOMETRIC_AND_AREA = LossWeights(semantic=0.0)


@dataclass(frozen=True)
class Variant:
    """A row of a table: how many parts, which losses of parts, and how many references.

    Rows that differ only in the number of references are trained once.
    """

    table: int
    name: str
    parts: int
    losses: LossWeights
    references: int = 1


VARIANTS = (
    Variant(3, "no IPDA", 0, LossWeights()),
    Variant(3, "geometric", 5, GEOMETRIC),
    Variant(3, "geometric + area", 5, GEOMETRIC_AND_AREA),
    Variant(3, "geometric + area + semantic", 5, LossWeights()),
    Variant(4, "1 part", 1, LossWeights()),
    Variant(4, "3 parts", 3, LossWeights()),
    Variant(4, "5 parts", 5, LossWeights()),
    Variant(5, "1 reference", 5, LossWeights()),
    Variant(5, "2 references", 5, LossWeights(), references=2),
)


def main() -> None:
    """Train and score every variant with every seed, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--portraits", type=Path, action="append", required=True)
    parser.add_argument("--held-out", action="append", required=True)
    parser.add_argument("--base", type=Path, required=True, help="weights whose encoder to take")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/ablations"))
    arguments = parser.parse_args()
    sources = Sources()
    for folder in arguments.portraits:
        sources += portraits_from(folder)
    training, held_out = sources.split(arguments.held_out)
    scores = {
        variant: [scored(variant, seed, training, held_out, arguments) for seed in range(n)]
        for n in [arguments.seeds]
        for variant in VARIANTS
    }
    write_atomically(
        arguments.out / "ablations.json",
        json.dumps({f"{v.table}: {v.name}": found for v, found in scores.items()}).encode(),
    )
    table = Table("table", "variant", "J&F", "lowest", "highest", box=None)
    for variant, found in scores.items():
        numbers = [statistics.mean(found), min(found), max(found)]
        table.add_row(str(variant.table), variant.name, *(f"{100 * n:.1f}" for n in numbers))
    Console().print(table)


def scored(
    variant: Variant, seed: int, sources: Sources, held_out: Sources, arguments: argparse.Namespace
) -> float:
    """Train a variant with a seed, unless that was done before, and return its J&F."""
    name = f"p{variant.parts}-" + "-".join(f"{w:g}" for w in vars(variant.losses).values())
    folder = arguments.out / f"{name}-seed{seed}"
    parts = {"parts": variant.parts}
    base = read_card(arguments.base).configuration
    recipe = replace(
        next(each for each in trainable_engine("pdnet").recipes if base in each.further),
        configuration=base,
        network=parts,
        samples=PAPER,
        losses=variant.losses,
        size=arguments.size,
        batch_size=arguments.batch_size,
    )
    device = find_device(arguments.device)
    first = first_weights(arguments.out / "first" / f"{name}-seed{seed}", parts, seed, arguments)
    train(
        sources,
        recipe,
        folder,
        TrainingSettings(device, steps=arguments.steps, seed=seed, start=first),
        CardDraft([path.name for path in arguments.portraits], "research only"),
    )
    segmenter, _ = load_segmenter(str(folder), device=str(device), alone=True)
    assert isinstance(segmenter, Matcher)
    if variant.references == 2:
        segmenter.choice = first_and_fifth_before
    return j_and_f(segmenter, held_out.clips)


def first_weights(
    folder: Path, parts: dict[str, int], seed: int, arguments: argparse.Namespace
) -> Path:
    """Write weights with the encoder of the base and all else random, and return their folder."""
    torch.manual_seed(seed)
    engine = trainable_engine("pdnet")
    size = read_card(arguments.base).configuration
    tensors = engine.network(engine.configuration(size, parts)).state_dict()
    _, base = load_model(arguments.base)
    tensors |= {key: base[key] for key in tensors if key.startswith(ENCODER)}
    card = ModelCard(engine.name, size, [], "research only", network={**parts})
    save_model(folder, tensors, card, "0.0.0")
    return folder


def j_and_f(segmenter: Segmenter, takes: Sequence[Take]) -> float:
    """Mean J&F of clips, every fifth frame."""

    def of_clips() -> Iterator[tuple[list[float], list[float]]]:
        for load in [partial(truth_of_take, take) for take in takes]:
            truth = load()
            answers = segmenter.segment(truth.frames, truth.measured, ReferenceBook())
            masks = {answer.frame: answer.mask for answer in answers}
            yield (
                [truth.region(frame, mask) for frame, mask in masks.items()],
                [truth.boundary(frame, mask) for frame, mask in masks.items()],
            )

    return dataset_scores([clip_scores(*pair) for pair in of_clips()]).j_and_f


if __name__ == "__main__":
    main()
