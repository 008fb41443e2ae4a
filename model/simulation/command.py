"""The command `simulate`: labelling and retraining in rounds, on a labelled dataset."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from labeler.console import out, progress, say, say_json
from labeler.errors import LabelerError
from model.commands import DatasetFolder, Device, Json


def simulate(
    folder: DatasetFolder,
    aside: Annotated[
        list[str],
        typer.Option(help="A clip to measure on, never to learn from; may be repeated."),
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(help="A clip to label; may be repeated. Default: all others."),
    ] = None,
    rehearse: Annotated[
        list[Path] | None,
        typer.Option(help="Another dataset of people to learn from; may be repeated."),
    ] = None,
    picking: Annotated[
        list[str] | None,
        typer.Option(
            help="How to choose the next frames: priority, uncertainty, random, in_order or "
            "worst; may be repeated. Default: all.",
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A folder with weights to start from.", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of labelling and retraining.")] = 3,
    frames: Annotated[int, typer.Option(min=1, help="Frames labelled in each round.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="How many repetitions, a seed each.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Training steps in each round.")] = 50,
    size: Annotated[int, typer.Option(help="Side of the input in training.")] = 192,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples a step.")] = 8,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-4,
    quality: Annotated[float, typer.Option(help="The q of FC@q: J&F of a good mask.")] = 0.85,
    output: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")] = Path(
        "runs/simulation"
    ),
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Simulate labelling and retraining in rounds, on a labelled dataset.

    It shows whether retraining helps, and which frames are best to label first.
    """
    from dataclasses import asdict

    from model.data.folders import clips_from
    from model.data.layouts import portraits_from
    from model.data.sources import Sources
    from model.engine import bundled_weights
    from model.loading import default_model, find_device
    from model.simulation.report import simulation_table, write_simulation
    from model.simulation.simulate import Experiment, Picking
    from model.simulation.simulate import simulate as play
    from model.training.further import Budget

    names = [each.upper() for each in picking or Picking.__members__]
    if unknown := [name for name in names if name not in Picking.__members__]:
        known = ", ".join(Picking.__members__).lower()
        raise LabelerError(f"Frames cannot be picked by {unknown[0].lower()!r}; give {known}.")
    if size <= 0 or size % 32:
        raise LabelerError(f"A side of {size} cannot be used; give a multiple of 32.")
    takes = {take.name: take for take in clips_from(folder)}
    wanted = label or [name for name in takes if name not in aside]
    if missing := [name for name in (*aside, *wanted) if name not in takes]:
        raise LabelerError(
            f"There is no clip {missing[0]!r} in {folder}; there are {_list(takes)}."
        )
    if both := set(aside) & set(wanted):
        raise LabelerError(f"{_list(both)} cannot be both labelled and kept aside.")
    rehearsed = Sources()
    for each in rehearse or []:
        rehearsed += portraits_from(each)
    rehearsed, _ = rehearsed.split({*aside, *wanted})
    with progress("simulating") as update:
        trials = play(
            [takes[name] for name in wanted],
            [takes[name] for name in aside],
            Experiment(
                model or bundled_weights()[default_model()],
                rounds,
                frames,
                Budget(
                    steps=steps,
                    size=size,
                    batch_size=batch_size,
                    rate=rate,
                    device=find_device(device),
                ),
                rehearsed,
                quality,
            ),
            pickings=[Picking[name] for name in names],
            seeds=range(seeds),
            progress=update,
        )
    paths = write_simulation(trials, output)
    if as_json:
        say_json([asdict(trial) for trial in trials])
        return
    out.print(simulation_table(trials))
    say(", ".join(map(str, paths)))


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
