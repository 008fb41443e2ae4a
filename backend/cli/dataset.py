"""The commands of the dataset: one is imported, exported, and looked through for faults."""

from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.options import Json, opened
from labeler.clip import Scenario
from labeler.collect.import_dataset import Taken, Wanted, import_dataset
from labeler.console import note, progress, say, say_json
from labeler.layouts.foreign import ForeignDataset
from labeler.layouts.layout import Layout
from labeler.layouts.reading import find_dataset
from labeler.publish.export import ListPlan, export_mvps
from labeler.publish.lists import split_dataset
from labeler.publish.other_layouts import export_as
from labeler.publish.resize import resize_dataset
from labeler.publish.split import TEST_SHARE
from labeler.publish.validate import validate as find_faults
from labeler.workspace.workspace import Workspace

TestShare = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the clips that go to test.txt, as in MVPS.")
]
Seed = Annotated[int, typer.Option(help="Of the random split.")]
Stratified = Annotated[
    bool, typer.Option("--stratified", help="Give each scenario its share of test clips.")
]


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    names: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated.")
    ] = None,
    include_unreviewed: Annotated[
        bool, typer.Option("--include-unreviewed", help="Also masks that nobody has accepted.")
    ] = False,
    test_share: TestShare = TEST_SHARE,
    seed: Seed = 0,
    stratified: Stratified = False,
    lists: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Keep its train and test clips where they are, not those of what is in DIR.",
        ),
    ] = None,
    new_lists: Annotated[
        bool, typer.Option("--new-lists", help="Draw the split anew; clips may change sides.")
    ] = False,
    layout: Annotated[
        Layout, typer.Option("--format", help="youtube-vos and coco have one resolution, the full.")
    ] = Layout.MVPS,
) -> None:
    """Write the dataset in the MVPS layout, full resolution and 480p, with SHA256SUMS.

    A second export to the same folder writes only what is new, and moves no clip between train
    and test. Until it is whole, the folder stays as it is.
    """
    with opened(context) as workspace:
        export_dataset(
            workspace,
            folder,
            layout,
            clips=names,
            include_unreviewed=include_unreviewed,
            lists=ListPlan(test_share, seed, stratified, keep=lists, anew=new_lists),
        )


def validate(folder: Annotated[Path, typer.Argument(metavar="DIR")], as_json: Json = False) -> None:
    """Name each fault of a dataset in the MVPS layout; exit 1 if there is one."""
    with progress(f"reading {folder}") as update:
        faults = find_faults(folder, progress=update)
    if as_json:
        say_json([asdict(fault) for fault in faults])
    else:
        for fault in faults:
            say(f"{fault.rule}: {fault.message}")
        say(f"{folder}: {len(faults)} faults" if faults else f"{folder}: no faults")
    if faults:
        raise typer.Exit(1)


def split(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    test_share: TestShare = TEST_SHARE,
    seed: Seed = 0,
    stratified: Stratified = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Draw all clips; without it, listed ones stay put.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Divide a dataset into train and test by clip, and count both.

    At random by the seed, as in the paper. Clips of one source video (by clips.csv) stay
    together. Clips that are in a list already are not moved.
    """
    report = split_dataset(folder, test_share, seed, stratified=stratified, anew=anew)
    if as_json:
        say_json(report.to_json())
    else:
        for line in report.lines():
            say(line)


def resize(folder: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Make a dataset's 480p pictures and masks from its full resolution.

    The old ones are replaced once the new ones are whole. What an interrupted run has made is not
    made again.
    """
    with progress(f"480p of {folder}") as update:
        count = resize_dataset(folder, update)
    say(f"{folder}: {count} pictures and masks at 480p")


def export_dataset(
    workspace: Workspace,
    folder: Path,
    layout: Layout = Layout.MVPS,
    *,
    clips: Sequence[str] | None = None,
    include_unreviewed: bool = False,
    lists: ListPlan | None = None,
) -> None:
    """Write the dataset by `export_mvps`, with a progress bar; say what is in it and what not."""
    with progress(f"writing {folder}") as update:
        export = partial(
            export_mvps,
            workspace,
            clips=clips,
            include_unreviewed=include_unreviewed,
            lists=lists,
            progress=update,
        )
        report = export_as(layout, folder, export, update)
    for name, reason in report.left_out:
        note(f"{name} was left out: {reason}")
    if report.mended:
        note(
            f"{len(report.mended)} files of the last export had been changed or removed and were "
            f"written anew: {', '.join(report.mended[:5])}"
        )
    for group in report.parted:
        note(f"{', '.join(group)} are of one source video but in both lists, as they were before")
    say(
        f"{folder}: {len(report.clips)} clips, {report.frames} frames, {report.masks} masks; "
        f"{report.written} of {2 * (report.frames + report.masks)} files were new"
    )


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
    workspace: Workspace, dataset: ForeignDataset, names: Sequence[str] | None, wanted: Wanted
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
