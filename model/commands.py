"""The commands of the network: train it, and measure it. They run on a bare GPU machine too."""

from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labeler.console import note, out, progress, say, say_json
from labeler.errors import LabelerError
from labeler.layouts.mvps import open_dataset

if TYPE_CHECKING:
    from model.segmenter import Segmenter

# Whatever imports torch (2 s) is imported by the command that needs it.

Folders = Annotated[list[Path] | None, typer.Option(show_default=False)]
Alone = Annotated[
    bool,
    typer.Option("--alone", help="Only what the networks say of each frame, as in the papers."),
]
Clips = Annotated[
    list[str] | None,
    typer.Option("--clip", help="Only this clip, or pictures such as 'a_*'; may be repeated."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
DatasetFolder = Annotated[Path, typer.Argument(metavar="DIR", show_default=False)]

RESEARCH = "research only: the licences of the training data apply"


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
        str, typer.Option(help="Whose network: pdnet finds people, gam carries a given mask.")
    ] = "pdnet",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="For pdnet paper, or quick for a small budget; for gam gam.",
            show_default="the engine's first",
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
    unguided_size: Annotated[
        int | None, typer.Option(help="The same where nobody has given a mask yet.")
    ] = None,
    close_up_size: Annotated[
        int | None,
        typer.Option(
            help="The same for the second look, at whoever the first one found; 0 for none.",
            show_default="that of training, if the recipe has close-ups",
        ),
    ] = None,
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
    from model.loading import find_device
    from model.training.recipe import RECIPES
    from model.training.run import train as run

    if not portraits:
        raise typer.BadParameter("There is nothing to learn from; give a dataset with --portraits.")
    known = {name: each for name, each in RECIPES.items() if each.engine == engine}
    if not known:
        engines = ", ".join(dict.fromkeys(each.engine for each in RECIPES.values()))
        raise LabelerError(f"There is no engine {engine!r} to train; there are: {engines}.")
    if recipe is not None and recipe not in known:
        raise LabelerError(
            f"There is no recipe {recipe!r} for {engine}; there are: {', '.join(known)}."
        )
    chosen = known[recipe or next(iter(known))]
    for side in (size, use_size, unguided_size, close_up_size or None):
        if side is not None and (side <= 0 or side % 32):
            raise LabelerError(f"A side of {side} cannot be used; give a multiple of 32.")
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
            device=find_device(device),
            minutes=minutes,
            steps=steps,
            seed=seed,
            workers=workers,
            start=start,
            held_out=validation,
            use_size=use_size,
            unguided_size=unguided_size,
            close_up_size=close_up_size,
            version=version,
            training_data=trained_on or [path.resolve().name for path in folders],
            licence=licence,
            progress=lambda where: bar(where.step, where.steps),
        )
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

    segmenter, _ = load_segmenter(model, device=device, batch_size=batch_size, alone=alone)
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
    from model.engines.baselines.baselines import BASELINES
    from model.loading import DEFAULT_MODEL, load_segmenter
    from model.measure.effort import measure_effort
    from model.measure.effort_report import effort_tables, to_json, write_effort

    engines: dict[str, Segmenter] = {}
    for name in [*(models or [DEFAULT_MODEL]), *(BASELINES if baselines else [])]:
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
