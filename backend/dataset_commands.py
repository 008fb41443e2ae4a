"""The commands of the dataset: written, and looked through for faults."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from backend.options import Json, opened
from labeler.console import note, progress, say, say_json
from labeler.export import export_mvps
from labeler.export_formats import export_as
from labeler.layout import Layout
from labeler.validate import validate as find_faults
from labeler.workspace import Workspace


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    names: Annotated[
        list[str] | None, typer.Option("--clip", help="Only this clip; may be repeated.")
    ] = None,
    include_unreviewed: Annotated[
        bool, typer.Option("--include-unreviewed", help="Also masks that nobody has accepted.")
    ] = False,
    test_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the clips that go to test.txt, as in MVPS."),
    ] = 0.4,
    seed: Annotated[int, typer.Option(help="Of the random split.")] = 0,
    layout: Annotated[
        Layout, typer.Option("--format", help="youtube-vos and coco have one resolution, the full.")
    ] = Layout.MVPS,
) -> None:
    """Write the dataset, in the MVPS layout at full resolution and 480p, or in another."""
    with opened(context) as workspace:
        export_dataset(workspace, folder, names, include_unreviewed, test_share, seed, layout)


def validate(folder: Annotated[Path, typer.Argument(metavar="DIR")], as_json: Json = False) -> None:
    """Name each fault of a dataset in the MVPS layout; exit 1 if there is one."""
    faults = find_faults(folder)
    if as_json:
        say_json([asdict(fault) for fault in faults])
    else:
        for fault in faults:
            say(f"{fault.rule}: {fault.message}")
        say(f"{folder}: {len(faults)} faults" if faults else f"{folder}: no faults")
    if faults:
        raise typer.Exit(1)


def export_dataset(
    workspace: Workspace,
    folder: Path,
    names: list[str] | None,
    include_unreviewed: bool,
    test_share: float = 0.4,
    seed: int = 0,
    layout: Layout = Layout.MVPS,
) -> None:
    """Write the dataset, with a progress bar, and say what is in it and what is not."""
    with progress(f"writing {folder}") as update:
        export = partial(
            export_mvps,
            workspace,
            clips=names,
            include_unreviewed=include_unreviewed,
            test_share=test_share,
            seed=seed,
            progress=update,
        )
        report = export_as(layout, folder, export, update)
    for name, reason in report.left_out:
        note(f"{name} was left out: {reason}")
    say(f"{folder}: {len(report.clips)} clips, {report.frames} frames, {report.masks} masks")
