"""The commands of the cross-check: `check`, and `review list`, `decide` and `report`."""

from dataclasses import asdict
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from backend.cli.options import ClipName, Json, opened, tell_worker
from backend.settings import Settings
from labeler.console import note, out, say, say_json, table
from labeler.errors import LabelerError
from labeler.mask import read_mask
from labeler.review.crosscheck import Preferred, record_check
from labeler.review.crosscheck import decide as record_decision
from labeler.review.report import ReviewReport, Tally, review_report
from labeler.review.standing import Stage, Standing
from labeler.revision import Draft, Shown

review = typer.Typer(
    help="Cross-check: list what waits, decide conflicts, report agreement.", no_args_is_help=True
)

Frame = Annotated[int, typer.Argument(metavar="FRAME", help="Number of the key frame.")]
By = Annotated[str | None, typer.Option(help="Who looked. Default: your login.")]


def check(
    context: typer.Context,
    clip_name: ClipName,
    frame: Frame,
    mask_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MASK.png]", help="Your mask, of the frame's size.", show_default=False
        ),
    ] = None,
    by: By = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="You painted without seeing the first mask.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="You saw no mask at all; yours only measures.")
    ] = False,
    reject: Annotated[
        str, typer.Option(metavar="REASON", help="The mask is wrong; a third person decides.")
    ] = "",
) -> None:
    """Record a second person's opinion of a key frame's mask.

    Without MASK.png you confirm the first mask as it is, or reject it with --reject. MASK.png is
    the mask as you repaired it. If the two masks agree, the frame is accepted.
    """
    look = Shown.AUDIT if audit else Shown.BLIND if blind else Shown.CONFIRM
    settings: Settings = context.obj
    with opened(context) as workspace:
        clip = workspace.clip(clip_name)
        if mask_file is not None:
            mask = read_mask(mask_file, (clip.height, clip.width))
        else:
            counts = workspace.current(clip).get(frame)
            if look is not Shown.CONFIRM or counts is None:
                raise LabelerError(
                    f"Give the mask you made of {clip.name} frame {frame}, as MASK.png."
                )
            mask = workspace.read(counts)
        draft = Draft(by or getuser(), look=look, reason=reject)
        now = record_check(workspace, clip, frame, mask, draft, settings.thresholds)
        say(f"{clip.name} frame {frame}: {_said(now, look)}")
        tell_worker(context, clip)


@review.command(name="list")
def list_command(
    context: typer.Context,
    stages: Annotated[
        list[Stage] | None, typer.Option("--stage", help="Only this stage; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the frames that wait for a second or a third person."""
    with opened(context) as workspace:
        found = review_report(workspace)
    frames = found.at(*(stages or (Stage.CONFLICT, Stage.UNCHECKED)))
    frames.sort(key=lambda each: each.stage is not Stage.CONFLICT)
    if as_json:
        say_json([asdict(each) for each in frames])
        _tell_faults(found)
        return
    shown = table("clip", "frame", "stage", "masked by", "checked by", "J", "F", "reason")
    for each in frames:
        scores = ["", ""]
        if each.agreement is not None:
            scores = [f"{each.agreement.region:.3f}", f"{each.agreement.boundary:.3f}"]
        names = [each.stage.value, each.first, each.second]
        shown.add_row(each.clip, str(each.frame), *names, *scores, each.reason)
    out.print(shown)
    if not frames:
        say("Nothing waits.")
    _tell_faults(found)


@review.command()
def decide(
    context: typer.Context,
    clip_name: ClipName,
    frame: Frame,
    verdict: Annotated[
        Preferred | None, typer.Argument(metavar="[first|second]", show_default=False)
    ] = None,
    mask_file: Annotated[
        Path | None, typer.Option("--mask", help="A third mask, if neither is right.")
    ] = None,
    by: By = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
) -> None:
    """Record a third person's decision on a frame in conflict; it is final."""
    if (verdict is None) == (mask_file is None):
        raise typer.BadParameter("say first or second, or give --mask.", context)
    with opened(context) as workspace:
        clip = workspace.clip(clip_name)
        said = verdict or read_mask(mask_file or Path(), (clip.height, clip.width))
        found = record_decision(workspace, clip, frame, by or getuser(), said, reason)
        say(f"{clip.name} frame {frame}: accepted as revision {found.number}")
        tell_worker(context, clip)


@review.command()
def report(context: typer.Context, as_json: Json = False) -> None:
    """Show the agreement by clip and by pair of people, and what audits say of pre-labels."""
    with opened(context) as workspace:
        found = review_report(workspace)
    if as_json:
        say_json(
            {
                "stages": {stage.value: len(found.at(stage)) for stage in Stage},
                "by_clip": {name: asdict(each) for name, each in found.by_clip.items()},
                "by_pair": [
                    {"first": first, "second": second} | asdict(each)
                    for (first, second), each in found.by_pair.items()
                ],
                "audit": found.audit and asdict(found.audit) | {"bias": found.audit.bias},
                "faults": found.faults,
            }
        )
    else:
        _say_report(found)
    _tell_faults(found)


def _tell_faults(found: ReviewReport) -> None:
    """Name the masks that cannot be read; the exit code says that there are some."""
    for fault in found.faults:
        note(fault)
    if found.faults:
        raise typer.Exit(1)


def _say_report(found: ReviewReport) -> None:
    counts = [f"{len(found.at(stage))} {stage.value}" for stage in Stage if found.at(stage)]
    say(", ".join(counts) or "No person has masked a frame yet.")
    columns = ("masks", "agreed", "J", "F")
    if found.by_clip:
        shown = table("clip", *columns)
        for name, each in found.by_clip.items():
            shown.add_row(name, *_cells(each))
        out.print(shown)
        shown = table("masked by", "checked by", *columns, right=2)
        for pair, each in found.by_pair.items():
            shown.add_row(*pair, *_cells(each))
        out.print(shown)
    if found.audit is not None:
        audit = found.audit
        say(
            f"audit of {audit.frames} frames: J with the prediction is {audit.labeled:.3f} for the "
            f"masks, {audit.audited:.3f} for masks made without a pre-label (the difference is "
            f"{audit.bias:+.3f}); J between the two masks is {audit.between:.3f}"
        )


def _cells(tally: Tally) -> list[str]:
    return [str(tally.masks), str(tally.agreed), f"{tally.region:.3f}", f"{tally.boundary:.3f}"]


def _said(now: Standing, look: Shown) -> str:
    if look is Shown.AUDIT:
        return "recorded for the audit"
    return {
        Stage.ACCEPTED: "accepted",
        Stage.CONFLICT: "in conflict; a third person decides (`mvps review list`)",
    }.get(now.stage, "kept until the frame is masked")
