"""The commands of the network: train it, and measure it. They run on a bare GPU machine too."""

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

# Whatever imports torch (2 s) is imported by the command that needs it.

Folders = Annotated[list[Path] | None, typer.Option(show_default=False)]
Alone = Annotated[
    bool,
    typer.Option("--alone", help="Only the network: no colours, nothing told by other frames."),
]
Clips = Annotated[
    list[str] | None,
    typer.Option("--clip", help="Only this clip, or pictures such as 'a_*'; may be repeated."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DIR", show_default=False)]

RESEARCH = "research only: the licences of the training data apply"


RECIPES_HELP = "; ".join(
    f"for {engine.name} {' or '.join(recipe.name for recipe in engine.recipes)}"
    for engine in trainable_engines().values()
    if engine.recipes
)
OPTIONS_HELP = "; ".join(
    f"for {engine.name} {' and '.join(each.name for each in fields(engine.options))}"
    for engine in trainable_engines().values()
    if fields(engine.options)
)


Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help=f"An option of the engine in use; may be repeated. There are: {OPTIONS_HELP}.",
    ),
]


def train(
    portraits: Annotated[
        list[Path] | None,
        typer.Option(help="A dataset of people, of any known layout; may be repeated."),
    ] = None,
    objects: Annotated[
        list[Path] | None,
        typer.Option(help="Clips of other things: they teach to carry a given mask."),
    ] = None,
    backgrounds: Annotated[
        list[Path] | None, typer.Option(help="Pictures without people, to put people into.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", help="For weights, card, log; gone on with if broken off.")
    ] = Path("runs/train"),
    engine: Annotated[
        str | None,
        typer.Option(
            help=f"Whose network: {', '.join(trainable_engines())}.", show_default="the default's"
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"How: {RECIPES_HELP}.", show_default="the engine's first"),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Which size of the engine's network; the engine must have it.",
            show_default="the recipe's",
        ),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Budget in time.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Budget in steps.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the square input, a multiple of 32.")
    ] = None,
    use_size: Annotated[
        int | None, typer.Option(help="Side of the input in use, where it is another one.")
    ] = None,
    options: Options = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate, in place of its own.")] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            help="A clip to keep out, with every tenth picture, and to score the weights on; "
            "may be repeated."
        ),
    ] = None,
    seed: int = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 0,
    start: Annotated[
        Path | None, typer.Option(help="A folder with weights to go on from.", show_default=False)
    ] = None,
    version: Annotated[str, typer.Option(help="Of the weights.")] = "1.0.0",
    trained_on: Annotated[
        list[str] | None,
        typer.Option(help="What the card says of the data; may be repeated. Default: the folders."),
    ] = None,
    licence: Annotated[str, typer.Option(help="What the card says of the licence.")] = RESEARCH,
    device: Device = "auto",
) -> None:
    """Train a network; under torchrun, on several GPUs at once."""
    from model.data.folders import backgrounds_from, clips_from
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
    validation = None
    if held_out:
        sources, validation = sources.split(held_out)
    folders = [*portraits, *(objects or []), *(backgrounds or [])]
    note(
        f"learning from {len(sources.clips)} clips, {len(sources.stills)} pictures of people, "
        f"{len(sources.objects)} clips of other things and {len(sources.backgrounds)} backgrounds"
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
    model: Annotated[str | None, typer.Option(help="A folder, a name, or a baseline.")] = None,
    given: Annotated[
        int, typer.Option(min=0, help="True masks given, evenly spaced: 0 none, 1 the first.")
    ] = 0,
    clips: Clips = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="DIR holds pictures with masks, and no clips.")
    ] = False,
    tenth: Annotated[
        bool, typer.Option("--tenth", help="Only every tenth picture, which --held-out kept out.")
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--out")] = Path("runs/evaluation"),
    alone: Alone = False,
    options: Options = None,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score an engine against a dataset's masks: J, F, J&F as DAVIS has them, and its speed."""
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
        list[str] | None, typer.Option("--model", help="An engine; may be repeated.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Measure the baselines along.")] = True,
    clips: Clips = None,
    output: Annotated[Path, typer.Option("-o", "--out")] = Path("runs/effort"),
    alone: Alone = False,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure how few frames a person must correct with an engine (FC@q), beside baselines."""
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
