"""The commands for datasets: `import`, `export`, `validate`, `split` and `resize`."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.options import Json, opened
from backend.settings import Settings
from labeler.clip import Scenario
from labeler.collect.import_dataset import Taken, carry_out
from labeler.collect.import_plan import ImportPlan, Wanted, compared, left_out_lines, plan_import
from labeler.console import note, progress, say, say_json
from labeler.layouts.foreign import ForeignDataset
from labeler.layouts.layout import WRITTEN, Layout
from labeler.layouts.reading import find_dataset
from labeler.publish.export import ListPlan, export_mvps
from labeler.publish.lists import split_dataset
from labeler.publish.other_layouts import earlier_lists, export_as
from labeler.publish.resize import resize_dataset
from labeler.publish.split import TEST_SHARE
from labeler.publish.validate import validate as find_faults
from labeler.workspace.workspace import Workspace

TestShare = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the clips for test.txt; default as in MVPS.")
]
Seed = Annotated[int, typer.Option(help="Seed of the random split.")]
Stratified = Annotated[
    bool, typer.Option("--stratified", help="Draw the same share of test clips in each scenario.")
]


def export(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write.", show_default=False)
    ],
    names: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated.")
    ] = None,
    include_unreviewed: Annotated[
        bool, typer.Option("--include-unreviewed", help="Export unaccepted masks, too.")
    ] = False,
    test_share: TestShare = TEST_SHARE,
    seed: Seed = 0,
    stratified: Stratified = False,
    lists: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Keep the train and test lists of this dataset, instead of those in DIR.",
        ),
    ] = None,
    new_lists: Annotated[
        bool, typer.Option("--new-lists", help="Draw a new split; clips may change lists.")
    ] = False,
    layout: Annotated[
        Layout,
        typer.Option(
            "--format",
            help="mvps, davis, youtube-vos or coco; the last two in full resolution only.",
        ),
    ] = Layout.MVPS,
) -> None:
    """Write the dataset in the MVPS layout, full resolution and 480p, with SHA256SUMS.

    A second export to the same folder writes only what is new, and moves no clip between train
    and test. The folder stays as it is until the new export is complete.
    """
    if layout not in WRITTEN:
        known = ", ".join(each.value for each in WRITTEN)
        raise typer.BadParameter(f"{layout.value} is only read; write one of {known}.", context)
    with opened(context) as workspace:
        export_dataset(
            workspace,
            folder,
            layout,
            clips=names,
            include_unreviewed=include_unreviewed,
            lists=ListPlan(test_share, seed, stratified, keep=lists, anew=new_lists),
        )


def validate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the dataset.")],
    as_json: Json = False,
) -> None:
    """List the faults of a dataset in the MVPS layout; exit with 1 if there are any."""
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
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the dataset.")],
    test_share: TestShare = TEST_SHARE,
    seed: Seed = 0,
    stratified: Stratified = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Draw all clips again, also those in a list.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Divide the clips of a dataset into train and test, and count both.

    Clips are drawn at random by the seed, as in the paper. Clips of one source video (see
    clips.csv) stay together. Clips that are already in a list stay there.
    """
    report = split_dataset(folder, test_share, seed, stratified=stratified, anew=anew)
    if as_json:
        say_json(report.to_json())
    else:
        for line in report.lines():
            say(line)


def resize(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the dataset.")],
) -> None:
    """Make a dataset's 480p pictures and masks from its full resolution.

    The old files are replaced once all new ones are complete. After an interruption, run it again:
    it goes on where it was.
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
    """Export the dataset with a progress bar, and print what is in it and what was left out."""
    lists = replace(lists or ListPlan(), earlier=earlier_lists(folder, layout))
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
    if report.moved:
        note(
            f"{len(report.moved)} clips are in another list than in the dataset they were imported "
            f"from: {', '.join(report.moved[:5])}"
        )
    for group in report.parted:
        note(f"{', '.join(group)} show one source video but are in both lists, as before")
    say(
        f"{folder}: {len(report.clips)} clips, {report.frames} frames, {report.masks} masks; "
        f"{report.written} of {2 * (report.frames + report.masks)} files were new"
    )
    if report.damaged:
        note(f"clips left out for damage: {len(report.damaged)}; `mvps doctor` names all faults")
        raise typer.Exit(1)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise typer.BadParameter(
            f"{text!r} is no frame rate; give, for example, 25, 29.97 or 30000/1001."
        )
    return rate


def import_(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the dataset.", show_default=False)
    ],
    names: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated.")
    ] = None,
    layout: Annotated[
        Layout | None, typer.Option("--format", help="Layout of DIR. Default: found by its files.")
    ] = None,
    scenario: Annotated[
        Scenario | None,
        typer.Option(help="Scenario of the clips for which no clips.csv gives one."),
    ] = None,
    fps: Annotated[
        Fraction | None,
        typer.Option(
            parser=_rate,
            metavar="RATE",
            help="Frame rate by which the frames are numbered, where no clips.csv gives it, such "
            "as 25 or 30000/1001. Default: 24 for davis, 30 for youtube-vos and coco.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Import the masks of every N-th frame only. Default: all masks."),
    ] = None,
    resolution: Annotated[
        str | None,
        typer.Option(
            help="Resolution to read, in mvps and davis: 480p, say. Default: the largest."
        ),
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            help="Where the dataset has categories or labels: whose masks to import; may be "
            "repeated. Default: person (in label-studio also Portrait).",
        ),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Text before the name of each clip.")] = "",
    folders_are_clips: Annotated[
        bool, typer.Option("--folders-are-clips", help="In coco: each folder is one clip.")
    ] = False,
    crowds: Annotated[
        bool, typer.Option("--crowds", help="In coco: import regions marked iscrowd, too.")
    ] = False,
    plan_only: Annotated[
        bool,
        typer.Option(
            "--plan", help="Import nothing; print which clips would come in from which files."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Import a dataset of any known layout as clips with accepted masks.

    Clips that the workspace already has stay as they are. After an interruption, run it
    again: it goes on. A damaged file costs its own clip only. What does not come in is listed
    at the end, each with its reason; if any of it is damaged or unclear, the exit code is 1.
    --json goes with --plan.
    """
    if as_json and not plan_only:
        raise typer.BadParameter("--json goes with --plan.", context)
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
    wanted = Wanted(scenario, fps, stride, prefix)
    plan = plan_import(dataset, names, wanted)
    if plan_only:
        plan = _compared(context, plan)
        if as_json:
            say_json(plan.to_json())
        for line in () if as_json else plan.lines():
            say(line)
        raise typer.Exit(1 if plan.lost else 0)
    with opened(context) as workspace:
        taken = _take(workspace, dataset, plan, wanted)
    new = [each for each in taken if each.new and each.clip]
    frames = sum(each.clip.frame_count for each in new if each.clip)
    masks = sum(each.masks for each in new)
    known = sum(each.clip is not None and not each.new for each in taken)
    say(
        f"{folder} ({dataset.layout.value}): imported {len(new)} clips with {frames} frames and "
        f"{masks} masks; {known} clips were already there"
    )
    faults = [each for each in taken if each.fault]
    for each in faults:
        note(f"{each.name} was not imported: {each.fault}")
    for line in left_out_lines([x for x in plan.left_out if x.name not in dataset.clips]):
        note(line)
    if faults or plan.lost:
        raise typer.Exit(1)


def _compared(context: typer.Context, plan: ImportPlan) -> ImportPlan:
    """Compare a plan with the workspace, if there is one; a plan makes none."""
    settings: Settings = context.obj
    there = settings.database_url or (settings.workspace / "mvps.db").exists()
    with (
        opened(context) if there else nullcontext() as workspace,
        progress("reading pictures", len(plan.clips)) as update,
    ):
        return compared(workspace, plan, update)


def _take(
    workspace: Workspace, dataset: ForeignDataset, plan: ImportPlan, wanted: Wanted
) -> list[Taken]:
    """Import the clips with a progress bar, and print what came of each."""
    taken = []
    with progress(f"importing {dataset.name}", len(plan.clips)) as update:
        for each in carry_out(workspace, dataset, plan, wanted):
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
