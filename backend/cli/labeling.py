"""The commands that mask, correct and show clips."""

from collections import Counter
from dataclasses import asdict
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.options import (
    ClipName,
    ClipNames,
    Device,
    Json,
    Model,
    chosen,
    load,
    opened,
    tell_worker,
    waiting_jobs,
)
from backend.work.preannotate import Refresh, refresh
from labeler.console import note, out, progress, say, say_json, table
from labeler.inspect.overview import overview
from labeler.inspect.preview import write_preview
from labeler.mask import read_mask
from labeler.review.correction import record_correction
from labeler.review.priority import next_frames
from labeler.revision import Draft, Provenance
from model.registry import ModelRegistry


def preannotate(
    context: typer.Context,
    names: ClipNames = None,
    model: Model = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Name of an engine, to use its bundled weights in place of --model."),
    ] = None,
    device: Device = None,
) -> None:
    """Mask the key frames whose mask is missing or out of date.

    A prediction is out of date if it was made with other weights or other references. Masks that
    a person made stay as they are.
    """
    if engine is not None:
        from model.loading import default_weights

        model = default_weights(engine)
    with opened(context) as workspace:
        clips = chosen(workspace, names)
        segmenter = load(context, workspace, model, device)
        for clip in clips:
            with progress(f"masking {clip.name}") as update:
                done = refresh(workspace, clip, segmenter, progress=update)
            say_refresh(done)
            tell_worker(context, clip)


def correct(
    context: typer.Context,
    clip_name: ClipName,
    frame: Annotated[int, typer.Argument(metavar="FRAME", help="Number of the key frame.")],
    mask_file: Annotated[
        Path, typer.Argument(metavar="MASK.png", help="Your mask, of the frame's size.")
    ],
    by: Annotated[str | None, typer.Option(help="Who painted it. Default: your login.")] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accept an empty mask: nobody is in the frame.")
    ] = False,
    model: Model = None,
    device: Device = None,
) -> None:
    """Record your mask of a key frame, and mask again the frames that it can help."""
    with opened(context) as workspace:
        clip = workspace.clip(clip_name)
        mask = read_mask(mask_file, (clip.height, clip.width))
        draft = Draft(by or getuser())
        recorded = record_correction(workspace, clip, frame, mask, draft, allow_empty=allow_empty)
        say(f"{clip.name} frame {frame}: recorded as revision {recorded.revision.number}")
        segmenter = load(context, workspace, model, device)
        with progress(f"masking {clip.name}") as update:
            done = refresh(workspace, clip, segmenter, keep_other_weights=True, progress=update)
        say_refresh(done)
        tell_worker(context, clip)


def preview(
    context: typer.Context,
    names: ClipNames = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder. Default: previews/ in the workspace."),
    ] = None,
) -> None:
    """Write a page for each clip with mask overlays, uncertainty over time, and provenance."""
    with opened(context) as workspace:
        for clip in chosen(workspace, names):
            path = (output or workspace.root / "previews") / f"{clip.name}.html"
            with progress(f"drawing {clip.name}") as update:
                write_preview(workspace, clip, path, update)
            say(str(path))


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the progress of each clip, the waiting jobs, the champion, and what to fix next."""
    with opened(context) as workspace:
        clips = overview(workspace, judged=True)
        champion = ModelRegistry(workspace.root / "models").champion
        waiting = Counter(job.kind.value for job in waiting_jobs(context))
        following = next_frames(workspace)
    if as_json:
        listed = [
            asdict(each.clip)
            | {"orientation": each.clip.orientation}
            | {"key_frames": len(each.clip.key_frames), "missing": each.missing}
            | {provenance.name.lower(): n for provenance, n in each.masks.items()}
            | {"rules": [asdict(verdict) for verdict in each.verdicts]}
            for each in clips
        ]
        say_json(
            {
                "clips": listed,
                "champion": champion,
                "waiting": waiting,
                "next": [asdict(each) for each in following],
            }
        )
        return
    provenances = [provenance.name.lower() for provenance in Provenance]
    columns = ["clip", "scenario", "frames", "key frames", "missing", *provenances]
    shown = table(*columns, right=2)
    shown.add_column("rules")
    for each in clips:
        numbers = [each.clip.frame_count, len(each.clip.key_frames), each.missing]
        cells = map(str, [*numbers, *each.masks.values()])
        shown.add_row(each.clip.shown, each.clip.scenario.value, *cells, each.rules)
    out.print(shown)
    if champion is not None:
        say(f"champion: {champion}")
    if waiting:
        say(f"waiting:  {', '.join(f'{count} {kind}' for kind, count in waiting.items())}")
    if following:
        say(f"fix next: {', '.join(f'{each.clip} {each.frame}' for each in following)}")


def say_refresh(done: Refresh) -> None:
    """Say what a refresh did to a clip."""
    if done.restored:
        say(f"{done.clip}: restored {len(done.restored)} earlier masks of these weights")
    if not done.segmented:
        if not done.restored:
            say(f"{done.clip}: all {done.kept} key frames are up to date")
        return
    say(
        f"{done.clip}: masked {len(done.segmented)} key frames at {done.ms_per_frame:.0f} ms each, "
        f"left {done.kept} as they were"
    )
    if done.emptied:
        frames = ", ".join(map(str, done.emptied))
        note(f"{done.clip}: nobody was found any more in frames {frames}; look at them.")
