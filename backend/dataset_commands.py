"""The commands of the dataset: written, and looked through for faults."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.options import Json, opened
from labeler.console import note, progress, say, say_json
from labeler.export import export_mvps
from labeler.export_formats import export_as
from labeler.layout import Layout
from labeler.resize import resize_dataset
from labeler.split import TEST_SHARE
from labeler.split_dataset import split_dataset
from labeler.validate import validate as find_faults
from labeler.workspace import Workspace

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
            test_share=test_share,
            seed=seed,
            stratified=stratified,
            lists=lists,
            new_lists=new_lists,
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
    workspace: Workspace, folder: Path, layout: Layout = Layout.MVPS, **options: Any
) -> None:
    """Write the dataset by `export_mvps`, with a progress bar; say what is in it and what not."""
    with progress(f"writing {folder}") as update:
        export = partial(export_mvps, workspace, progress=update, **options)
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
