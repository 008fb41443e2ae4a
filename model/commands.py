"""The commands `train`, `evaluate` and `effort`, which need no workspace."""

from dataclasses import fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labeler.console import note, out, progress, say, say_json
from labeler.errors import LabelerError
from labeler.layouts.mvps import open_dataset
from model.card import add_scores
from model.engine import first_engine, trainable_engine, trainable_engines

if TYPE_CHECKING:
    from model.segmenter import Segmenter

# Modules that import torch (2 s) are imported by the commands that need them.

Folders = Annotated[list[Path] | None, typer.Option(show_default=False)]
Alone = Annotated[
    bool,
    typer.Option(
        "--alone", help="Measure the network alone: no colours, no predictions of other frames."
    ),
]
Clips = Annotated[
    list[str] | None,
    typer.Option("--clip", help="Only this clip, or pictures such as 'a_*'; may be repeated."),
]
Device = Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
DatasetFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help="Dataset in the MVPS or DAVIS layout; every fifth frame is measured.",
        show_default=False,
    ),
]

RESEARCH = "research only: the licences of the training data apply"


RECIPES_HELP = "; ".join(
    f"{engine.name} has {', '.join(recipe.name for recipe in engine.recipes)}"
    for engine in trainable_engines().values()
    if engine.recipes
)
SIZES_HELP = "; ".join(
    f"{engine.name} has {', '.join(engine.sizes)}" for engine in trainable_engines().values()
)
OPTIONS_HELP = "; ".join(
    f"{engine.name} has {', '.join(each.name for each in fields(engine.options))}"
    for engine in trainable_engines().values()
    if fields(engine.options)
)


Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help=f"Set an option of the engine; may be repeated: {OPTIONS_HELP}.",
    ),
]


def train(
    portraits: Annotated[
        list[Path] | None,
        typer.Option(help="A dataset of labelled people, in any known layout; may be repeated."),
    ] = None,
    objects: Annotated[
        list[Path] | None,
        typer.Option(
            help="Clips of other things, to learn how to carry a given mask; may be repeated."
        ),
    ] = None,
    backgrounds: Annotated[
        list[Path] | None,
        typer.Option(
            help="Pictures without people, as new backgrounds for people; may be repeated."
        ),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Clips of people without masks, a folder of pictures each: the network learns "
            "from its own sure predictions; may be repeated."
        ),
    ] = None,
    folder: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for weights, card and log; a training cut short in it goes on."
        ),
    ] = Path("runs/train"),
    engine: Annotated[
        str | None,
        typer.Option(
            help=f"Engine to train: {', '.join(trainable_engines())}.",
            show_default=first_engine().name,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"Training recipe: {RECIPES_HELP}.", show_default="the engine's first"),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help=f"Size of the engine's network: {SIZES_HELP}.",
            show_default="the recipe's",
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Budget in minutes.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Budget in steps.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the square input, a multiple of 32.")
    ] = None,
    use_size: Annotated[
        int | None,
        typer.Option(help="Side of the input after training, if it differs from --size."),
    ] = None,
    options: Options = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples a step.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate, in place of the recipe's.")
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            help="A clip to keep out of the training, with every tenth picture; the weights are "
            "scored on them at the end. May be repeated."
        ),
    ] = None,
    seed: int = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 0,
    start: Annotated[
        Path | None, typer.Option(help="A folder with weights to start from.", show_default=False)
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the new weights.")] = "1.0.0",
    trained_on: Annotated[
        list[str] | None,
        typer.Option(help="Data to name in the card; may be repeated. Default: the folders."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence to name in the card.")] = RESEARCH,
    device: Device = "auto",
) -> None:
    """Train a network; with torchrun, on several GPUs at once."""
    from model.data.folders import backgrounds_from, clips_from, unlabelled_from
    from model.data.layouts import portraits_from
    from model.data.sources import Sources
    from model.loading import find_device, load_segmenter
    from model.measure.evaluate import held_out_scores
    from model.training.processes import Processes
    from model.training.run import CardDraft, TrainingSettings
    from model.training.run import train as run

    if not portraits:
        raise typer.BadParameter("There is nothing to learn from; give a dataset with --portraits.")
    kind = trainable_engine(engine) if engine else first_engine()
    chosen = kind.recipe(recipe)
    if network is not None:
        kind.configuration(network, {})  # says which sizes there are
        chosen = replace(chosen, configuration=network)
    for side in (size, use_size):
        if side is not None and (side <= 0 or side % 32):
            raise LabelerError(f"A side of {side} cannot be used; give a multiple of 32.")
    given = kind.options_of_texts(options or [])
    if size is not None:
        chosen = replace(chosen, size=size)
    if batch_size is not None:
        chosen = replace(chosen, batch_size=batch_size)
    if rate is not None:
        slower = rate * chosen.backbone_rate / chosen.rate
        chosen = replace(chosen, rate=rate, backbone_rate=slower)
    sources = Sources()
    for each in portraits:
        sources += portraits_from(each)
    for each in objects or []:
        sources += Sources(objects=clips_from(each))
    for each in backgrounds or []:
        sources += Sources(backgrounds=backgrounds_from(each))
    for each in unlabelled or []:
        sources += Sources(unlabelled=unlabelled_from(each))
    if sources.unlabelled and not (chosen.samples.unlabelled and chosen.average):
        raise LabelerError(
            f"The recipe {chosen.name!r} does not learn from clips without masks; leave out "
            "--unlabelled, or give another --recipe."
        )
    validation = None
    if held_out:
        sources, validation = sources.split(held_out)
    folders = [*portraits, *(objects or []), *(backgrounds or []), *(unlabelled or [])]
    note(
        f"learning from {len(sources.clips)} clips, {len(sources.stills)} pictures of people, "
        f"{len(sources.objects)} clips of other things and {len(sources.backgrounds)} backgrounds"
        + (f", and {len(sources.unlabelled)} clips without masks" if sources.unlabelled else "")
    )
    with progress("training") as bar:
        card = run(
            sources,
            chosen,
            folder,
            TrainingSettings(find_device(device), minutes, steps, seed, workers, start),
            CardDraft(
                trained_on or [path.resolve().name for path in folders],
                licence,
                version,
                use_size,
                given,
            ),
            progress=lambda where: bar(where.step, where.steps),
        )
    if not Processes.is_first():
        return
    if validation is not None:
        segmenter, _ = load_segmenter(str(folder), device=device)
        card = add_scores(folder, held_out_scores(validation, segmenter))
    say(f"{folder}: {card.model_version} after {card.training['minutes']} minutes")
    for name, score in card.scores.items():
        say(f"  {name} {score:.3f}")


def evaluate(
    folder: DatasetFolder,
    model: Annotated[
        str | None, typer.Option(help="A folder with weights, a bundled model or a baseline.")
    ] = None,
    given: Annotated[
        int, typer.Option(min=0, help="How many true masks are given, evenly spaced; 1: the first.")
    ] = 0,
    clips: Clips = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="DIR holds pictures with masks, no clips.")
    ] = False,
    tenth: Annotated[
        bool,
        typer.Option("--tenth", help="Only the pictures that `train --held-out` keeps out."),
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and page.")] = Path(
        "runs/evaluation"
    ),
    alone: Alone = False,
    options: Options = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames at a time.")] = 8,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score an engine on the masks of a dataset: J, F and J&F as DAVIS defines them, and speed."""
    from model.data.layouts import portraits_from
    from model.loading import load_segmenter
    from model.measure.evaluate import evaluate as measure
    from model.measure.evaluate import evaluate_pictures
    from model.measure.evaluate_report import evaluation_tables, to_json, write_evaluation

    segmenter, _ = load_segmenter(
        model, device=device, batch_size=batch_size, alone=alone, options=options or []
    )
    with progress("evaluating") as update:
        if pictures:
            sources = portraits_from(folder)
            stills = (sources.split()[1] if tenth else sources).stills
            wanted = [s for s in stills if any(fnmatch(s.name, c) for c in clips or ["*"])]
            if not wanted:
                raise LabelerError(f"There is no such picture in {folder}; give another --clip.")
            found = evaluate_pictures(wanted, segmenter, progress=update)
        else:
            dataset = open_dataset(folder)
            found = measure(dataset, segmenter, clips=clips, given=given, progress=update)
    paths = write_evaluation(found, output)
    if as_json:
        say_json(to_json(found))
        return
    for shown in evaluation_tables(found):
        out.print(shown)
    say(", ".join(map(str, paths)))


def effort(
    folder: DatasetFolder,
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="A folder with weights or a bundled model; may be repeated."),
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Measure the baselines, too.")] = True,
    clips: Clips = None,
    output: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and page.")] = Path(
        "runs/effort"
    ),
    alone: Alone = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames at a time.")] = 8,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure the share of frames that a person must correct (FC@q), with engines and baselines."""
    from model.engine import baselines as known_baselines
    from model.loading import default_model, load_segmenter
    from model.measure.effort import measure_effort
    from model.measure.effort_report import effort_tables, to_json, write_effort

    engines: dict[str, Segmenter] = {}
    for name in [*(models or [default_model()]), *(known_baselines() if baselines else [])]:
        engines[name], _ = load_segmenter(name, device=device, batch_size=batch_size, alone=alone)
    with progress("correcting") as update:
        found = measure_effort(open_dataset(folder), engines, clips=clips, progress=update)
    paths = write_effort(found, output)
    if as_json:
        say_json(to_json(found))
        return
    for shown in effort_tables(found):
        out.print(shown)
    say(", ".join(map(str, paths)))
