"""The commands that measure datasets and find masks that look wrong: `stats` and `quality`."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from backend.cli.options import ClipNames, Json, chosen, opened
from labeler.clip import KEY_FRAME_STRIDE, Clip, frame_name
from labeler.console import out, progress, say, say_json, table
from labeler.inspect.finding import Finding, Severity
from labeler.inspect.observe import MaskFile
from labeler.inspect.quality import MaskedClip, count_rules, find_suspicious, masks_of
from labeler.layouts.mvps import open_dataset
from labeler.workspace.workspace import Workspace

DATASETS = "of-datasets"
"""The name of the command that `mvps stats DIR` is short for; unlike any folder, it is hidden."""


class _OrDataset(TyperGroup):
    """Commands below `mvps stats`; what is none of their names is the folder of a dataset."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [DATASETS, *args]
        return super().parse_args(ctx, args)


stats = typer.Typer(
    cls=_OrDataset,
    help="`mvps stats DIR [OTHER]` measures datasets (`mvps stats DIR -h` lists its options); "
    "`mvps stats annotators` counts what people did.",
    no_args_is_help=True,
    subcommand_metavar="DIR [OTHER] | annotators",
)


@stats.command(name=DATASETS, hidden=True)
def dataset_statistics(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the dataset.", show_default=False)
    ],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="A second dataset to compare with."),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the page and the JSON.")
    ] = Path("runs/statistics"),
    every: Annotated[int, typer.Option(min=1, help="Measure only every N-th frame.")] = (
        KEY_FRAME_STRIDE
    ),
    as_json: Json = False,
) -> None:
    """Measure datasets in the MVPS or DAVIS layout: scenarios, complexity, duration, motion."""
    from labeler.inspect.report import summary, to_json, write_report  # matplotlib takes a second
    from labeler.inspect.statistics import measure_dataset

    measured = []
    for each in [folder, *([other] if other else [])]:
        dataset = open_dataset(each)
        with progress(f"measuring {each}") as update:
            measured.append(measure_dataset(dataset, every, update))
    if len({data.name for data in measured}) < len(measured):
        measured = [
            replace(data, name=str(each))
            for data, each in zip(measured, [folder, other], strict=True)
        ]
    paths = write_report(measured, output)
    if as_json:
        say_json(to_json(measured))
        return
    shown = table("", *(data.name for data in measured))
    columns = [summary(data) for data in measured]
    for name in columns[0]:
        shown.add_row(name, *(numbers[name] for numbers in columns))
    out.print(shown)
    say(", ".join(map(str, paths)))


@stats.command()
def annotators(context: typer.Context, as_json: Json = False) -> None:
    """Print a line of CSV for each annotator: frames, time, acceptance, agreement.

    Seconds are medians: the time that a task was open in Label Studio. `untouched` is the share of
    the frames whose prediction was submitted as it was. `first_pass` is the share of the checked
    masks on which both people agreed; `region` and `boundary` are the mean J and F between them.
    """
    from labeler.review.annotators import annotator_statistics, to_csv

    with opened(context) as workspace:
        found = annotator_statistics(workspace)
    if as_json:
        say_json([asdict(each) for each in found])
    else:
        say(to_csv(found).rstrip())


def quality(
    context: typer.Context,
    names: ClipNames = None,
    dataset: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Look at a dataset instead of the workspace."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if more than notes is found.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the masks that look wrong, each with the reason, what to do, and the file.

    In the workspace it looks at the mask that counts for each frame, and links to its task in
    Label Studio. Nothing is changed.
    """
    links: dict[tuple[str, int], str] = {}
    if dataset is not None:
        folder = open_dataset(dataset)
        wanted = {folder.clip(name).name for name in names or []}
        clips = [clip for clip in masks_of(folder) if clip.name in wanted or not wanted]
        findings = _looked_at(clips)
    else:
        from backend.studio.projects import task_links

        with opened(context) as workspace:
            clips = [masks_that_count(workspace, clip) for clip in chosen(workspace, names)]
            findings = _looked_at(clips)
            links = task_links(workspace)
    if as_json:
        say_json(
            [each.to_json() | {"task": links.get((each.clip, each.frame))} for each in findings]
        )
    else:
        for each in findings:
            _say_finding(each, links.get((each.clip, each.frame)))
        counts = ", ".join(f"{rule} {n}" for rule, n in count_rules(findings).items())
        masks = sum(len(clip.masks) for clip in clips)
        say(f"{masks} masks of {len(clips)} clips: {counts or 'nothing found'}")
    if strict and any(each.rule.severity is not Severity.NOTE for each in findings):
        raise typer.Exit(1)


def masks_that_count(workspace: Workspace, clip: Clip) -> MaskedClip:
    """The masks of a workspace's clip that would be exported if they were accepted."""
    pictures = workspace.clip_folder(clip.name) / "frames"
    current = workspace.current(clip)
    return MaskedClip(
        clip.name,
        [
            MaskFile(
                frame,
                workspace.mask_path(revision),
                pictures / f"{frame_name(frame)}.jpg",
                partial(workspace.read, revision),
            )
            for frame, revision in sorted(current.items())
        ],
    )


def _looked_at(clips: list[MaskedClip]) -> list[Finding]:
    with progress("looking at masks") as update:
        return find_suspicious(clips, update)


def _say_finding(finding: Finding, link: str | None) -> None:
    rule = finding.rule
    say(f"{rule.severity} {rule}: {finding.clip} frame {finding.frame}, {finding.path}")
    say(f"  {finding.message} {rule.advice}")
    if link is not None:
        say(f"  {link}")
