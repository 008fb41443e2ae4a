"""The commands that collect videos by the rules of MVPS: `add` and `judge`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.options import ClipNames, chosen, opened
from labeler.clip import KEY_FRAME_STRIDE, Clip, Scenario
from labeler.collect.candidates import Candidate, read_candidates, videos_below, write_template
from labeler.collect.rules import broken, check_video_rules
from labeler.collect.rules import check_rules as judge_clip
from labeler.console import bars, err, note, progress, say
from labeler.workspace.workspace import Workspace

if TYPE_CHECKING:
    from labeler.collect.ingest import Added


def add(
    context: typer.Context,
    videos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="VIDEO|FOLDER|TABLE.csv...",
            help="Videos, folders with videos, or tables of videos.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        Scenario | None,
        typer.Option(help="Scenario of the videos; in a table, of those that have none."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the clip, for one video. Default: the file's.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse clips that break a rule; the default warns.")
    ] = False,
    split_cuts: Annotated[
        bool,
        typer.Option(
            "--split-cuts", help="Split at camera cuts, one clip per shot: NAME-1, NAME-2, ..."
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, help="Videos decoded at a time. Default: cores / 2."),
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Distance of key frames, in frames.")] = (
        KEY_FRAME_STRIDE
    ),
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE.csv",
            help="Add nothing; write a table of the videos instead, for you to fill in.",
        ),
    ] = None,
) -> None:
    """Decode videos into clips of up to 30 FPS, and check them against the rules of MVPS.

    The rules: a short side of at least 720 pixels, at least 6 s, no camera cut;
    and, once there are masks (see `mvps status`), a portrait, and obvious
    motion of it.

    A table of videos (CSV) begins with the names of its columns and has a line
    for each video:

        path,scenario,source,licence
        walk.mp4,outdoor-activity,https://example.org/walk,CC BY 4.0

    `path` is relative to the table. `source` (the exact address of the video)
    and `licence` are kept with the clip; both may be empty. One more column,
    `name`, may name the clips. To begin a table:
    mvps add FOLDER --template TABLE.csv

    Run it again after an interruption or with more videos: videos that were
    added before are skipped. A video that fails does not stop the others:
    failures are listed at the end, and the exit code is 1.
    """
    if template is not None:
        files = [file for each in videos or () for file in _files(each)]
        write_template(template, files, scenario)
        say(f"{template}: {len(files)} videos; fill in the table, then run `mvps add {template}`")
        return
    if not videos:
        raise typer.BadParameter("name a video, a folder or a table.", context)
    candidates, failures = _candidates(context, videos, scenario, name)
    with opened(context) as workspace:
        failures += _add_all(workspace, candidates, strict, split_cuts, stride, jobs, len(failures))
    for sentence in failures:
        err.print(f"mvps: {sentence}", markup=False, style="red")
    if failures:
        raise typer.Exit(1)


def judge(context: typer.Context, names: ClipNames = None) -> None:
    """Check clips against the collection rules of MVPS, rule by rule.

    Clips that were not searched for camera cuts yet are searched first: those from `mvps import`,
    and those from before that rule existed.
    """
    from labeler.collect.ingest import look_for_cuts

    with opened(context) as workspace:
        for clip in chosen(workspace, names):
            if clip.cuts is None:
                with progress(f"looking for cuts in {clip.name}") as update:
                    clip = look_for_cuts(workspace, clip, update)
            for verdict in judge_clip(clip, workspace.current(clip), workspace.mask_path):
                say(f"{clip.name}: {verdict.rule} {verdict.word}: {verdict.found}")


def add_clip(workspace: Workspace, video: Path, scenario: Scenario) -> Clip:
    """Decode a video into a clip, unless the workspace has it, and print what came of it."""
    from labeler.collect.ingest import add_video

    with progress(f"decoding {video.name}") as update:
        added = add_video(workspace, Candidate.of(video, scenario), progress=update)
    for clip in added.clips:
        _say_clip(clip)
    return (*added.clips, *added.known)[0]


def _files(place: Path) -> list[Path]:
    return videos_below(place) if place.is_dir() else [place]


def _candidates(
    context: typer.Context, places: list[Path], scenario: Scenario | None, name: str | None
) -> tuple[list[Candidate], list[str]]:
    """The videos that the command line names, and a sentence for each invalid line of a table."""
    candidates, failures = [], []
    for place in places:
        if place.suffix.lower() in {".csv", ".tsv"}:
            found, faults = read_candidates(place, scenario)
            candidates += found
            failures += faults
            continue
        if scenario is None:
            raise typer.BadParameter(
                f"give the scenario of {place} with --scenario: "
                + ", ".join(each.value for each in Scenario),
                context,
            )
        candidates += [Candidate.of(file, scenario, name or "") for file in _files(place)]
    if name is not None and len(candidates) + len(failures) > 1:
        raise typer.BadParameter("--name names one clip, but there are several videos.", context)
    return candidates, failures


def _add_all(
    workspace: Workspace,
    candidates: list[Candidate],
    strict: bool,
    split_cuts: bool,
    stride: int,
    jobs: int | None,
    failed: int,
) -> list[str]:
    """Add videos, print what comes of each, and return a sentence for each failure, in their order.

    `failed` is the number of failures before.
    """
    from labeler.collect.batch import JOBS, add_all
    from labeler.collect.ingest import Policy

    policy = Policy(stride=stride, strict=strict, split_cuts=split_cuts)
    failures: dict[Candidate, list[str]] = {}
    clips = skipped = 0
    with bars("videos", len(candidates)) as shown:
        for candidate, outcome in add_all(
            workspace,
            candidates,
            policy,
            jobs or JOBS,
            lambda candidate: shown.begin(candidate.name),
        ):
            shown.end(candidate.name)
            if isinstance(outcome, str):
                failures.setdefault(candidate, []).append(outcome)
                continue
            failures.setdefault(candidate, []).extend(outcome.refused)
            clips, skipped = clips + len(outcome.clips), skipped + bool(outcome.known)
            _say_added(candidate, outcome)
    found = [sentence for each in candidates for sentence in failures.pop(each, [])]
    failed += len(found)
    if len(candidates) > 1 or failed > 1:
        say(f"clips added: {clips}; videos skipped: {skipped}; failures: {failed}")
    return found


def _say_added(candidate: Candidate, added: "Added") -> None:
    for clip in added.clips:
        _say_clip(clip)
    if added.known:
        names = ", ".join(clip.name for clip in added.known)
        say(f"{candidate.path}: already added as {names}; skipped")
    for clip in added.known:
        told = {"scenario": candidate.scenario.value, "licence": candidate.licence}
        if candidate.source != candidate.path.name:
            told["source"] = candidate.source
        for field, value in told.items():
            if value and (kept := str(getattr(clip, field))) != value:
                note(f"{clip.name} keeps the {field} {kept!r}, not {value!r}.")


def _say_clip(clip: Clip) -> None:
    """Print what a new clip is, and which collection rules it keeps."""
    say(
        f"{clip.name}: {clip.frame_count} frames at {float(clip.fps):.4g} per second, "
        f"{clip.width}x{clip.height} ({clip.orientation}), {len(clip.key_frames)} key frames"
    )
    verdicts = check_video_rules(clip)
    kept = ", ".join(verdict.rule for verdict in verdicts if verdict.kept) or "no rule"
    say(f"{clip.name}: keeps {kept}; portrait and motion are judged once it has masks")
    for verdict in broken(verdicts):
        note(f"{clip.name}: breaks {verdict.rule}: {verdict.found}")
