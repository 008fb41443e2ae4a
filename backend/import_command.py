"""The command that takes an existing dataset in."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from backend.options import opened
from labeler.clip import Scenario
from labeler.console import note, progress, say
from labeler.find import find_dataset
from labeler.found import FoundDataset
from labeler.import_dataset import Taken, Wanted, import_dataset
from labeler.layout import Layout
from labeler.workspace import Workspace


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise typer.BadParameter(f"{text!r} is no frame rate; give 25, 29.97 or 30000/1001, say.")
    return rate


def import_(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    names: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated.")
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option("--format", help="Default: told by what is in DIR.")
    ] = None,
    scenario: Annotated[
        Scenario | None, typer.Option(help="Of clips of which no clips.csv says it.")
    ] = None,
    fps: Annotated[
        Fraction | None,
        typer.Option(
            parser=_rate,
            metavar="RATE",
            help="Of the numbers of the frames, where no clips.csv says it: 25 or 30000/1001, "
            "say. Default: 24 for davis, 30 for youtube-vos and coco.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Take the masks of every so many frames. Default: all masks."),
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(help="480p, say, of mvps and davis. Default: the largest.")
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--category", help="Whose masks, in youtube-vos and coco; may be repeated: person."
        ),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Put before the name of each clip.")] = "",
    folders_are_clips: Annotated[
        bool, typer.Option("--folders-are-clips", help="In coco: a folder of pictures is a clip.")
    ] = False,
    crowds: Annotated[
        bool, typer.Option("--crowds", help="In coco: regions marked iscrowd are people, too.")
    ] = False,
) -> None:
    """Take in a dataset (MVPS, DAVIS, YouTube-VOS, COCO) as clips with accepted masks.

    Clips that are in already stay as they are; an interrupted import goes on. What is damaged
    costs its clip alone, and is told at the end, with exit 1.
    """
    dataset = find_dataset(
        folder,
        layout,
        resolution=resolution,
        categories=categories or ["person"],
        folders_are_clips=folders_are_clips,
        crowds=crowds,
    )
    for remark in dataset.notes:
        note(remark)
    with opened(context) as workspace:
        taken = _take(workspace, dataset, names, Wanted(scenario, fps, stride, prefix))
    new = [each for each in taken if each.new and each.clip]
    frames = sum(each.clip.frame_count for each in new if each.clip)
    masks = sum(each.masks for each in new)
    known = sum(each.clip is not None and not each.new for each in taken)
    say(
        f"{folder} ({dataset.layout.value}): {len(new)} clips with {frames} frames and {masks} "
        f"masks came in, {known} were in already"
    )
    faults = [each for each in taken if each.fault]
    for each in faults:
        note(f"{each.name} was not taken in: {each.fault}")
    if faults:
        raise typer.Exit(1)


def _take(
    workspace: Workspace, dataset: FoundDataset, names: Sequence[str] | None, wanted: Wanted
) -> list[Taken]:
    """Take the clips in, with a progress bar, and say what came of each."""
    taken = []
    total = len(set(names)) if names else len(dataset.clips)
    with progress(f"importing {dataset.name}", total) as update:
        for each in import_dataset(workspace, dataset, names, wanted):
            taken.append(each)
            update(len(taken))
            if each.clip and each.new:
                say(
                    f"{each.clip.name}: {each.clip.frame_count} frames at "
                    f"{float(each.clip.fps):.4g} per second, {each.clip.width}x"
                    f"{each.clip.height}, {each.masks} masks, key frames every {each.clip.stride}"
                )
            for remark in each.remarks:
                note(f"{each.name}: {remark}")
    return taken
