"""The commands that collect videos by the rules of MVPS: `add` and `judge`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.options import ClipNames, chosen, opened
from labeler.clip import KEY_FRAME_STRIDE, Clip, Scenario
from labeler.collect.candidates import Candidate, read_candidates, videos_below, write_template
from labeler.collect.rules import broken, check_video_rules
from labeler.collect.rules import check_rules as judge_clip
from labeler.console import bars, err, note, progress, say, say_json
from labeler.text.naming import readable
from labeler.workspace.workspace import Workspace

if TYPE_CHECKING:
    from labeler.collect.ingest import Added, Policy
    from labeler.collect.video_plan import PlannedVideo


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
    plan_only: Annotated[
        bool,
        typer.Option(
            "--plan", help="Add nothing; print which videos come in, as what, and which do not."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the plan as JSON for a script to read.")
    ] = False,
) -> None:
    """Decode videos into clips of up to 30 FPS, and check them against the rules of MVPS.

    The rules: a short side of at least 720 pixels, at least 6 s, no camera cut;
    and, once there are masks (see `mvps status`), a portrait, and obvious
    motion of it.

    A table of videos (CSV) begins with the names of its columns and has a line
    for each video:

        path,scenario,source,licence,name
        walk.mp4,outdoor-activity,https://example.org/walk,CC BY 4.0,walk

    `path` is relative to the table. `source` (the exact address of the video)
    and `licence` are kept with the clip; both may be empty. `name` names the
    clip; without it, the file does, in Latin letters, and the original name is
    kept beside it. To begin a table: mvps add FOLDER --template TABLE.csv

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
    if as_json and not plan_only:
        raise typer.BadParameter("--json prints a plan; give --plan, too.", context)
    from labeler.collect.ingest import Policy

    candidates, failures = _candidates(context, videos, scenario, name)
    policy = Policy(stride=stride, strict=strict, split_cuts=split_cuts)
    with opened(context) as workspace:
        plan = _planned(workspace, candidates, policy)
        if plan_only:
            if not _say_plan(plan, failures, as_json):
                raise typer.Exit(1)
            return
        failures += _add_all(workspace, plan, policy, jobs, len(failures))
    _say_failures(failures)
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


def _planned(
    workspace: Workspace, candidates: list[Candidate], policy: "Policy"
) -> "list[PlannedVideo]":
    from labeler.collect.video_plan import plan_videos

    with progress("reading videos", len(candidates)) as update:
        return plan_videos(workspace, candidates, policy, update)


def _say_plan(plan: "list[PlannedVideo]", failures: list[str], as_json: bool) -> bool:
    """Print a plan; return whether everything that was named comes in, or is in."""
    from labeler.collect.video_plan import Fate

    of_fate = {fate: [each for each in plan if each.fate is fate] for fate in Fate}
    left_out = [each.reason for each in of_fate[Fate.LEFT_OUT]]
    if as_json:
        say_json(
            {
                "comes_in": [_as_json(each) for each in of_fate[Fate.COMES_IN]],
                "known": [_as_json(each) for each in of_fate[Fate.KNOWN]],
                "left_out": [_as_json(each) for each in of_fate[Fate.LEFT_OUT]]
                + [{"reason": sentence} for sentence in failures],
            }
        )
        return not left_out and not failures
    for each in of_fate[Fate.COMES_IN]:
        info, candidate = each.info, each.candidate
        if info is None:
            raise AssertionError("a video that comes in was probed")
        frames = "" if info.frame_estimate is None else f", about {info.frame_estimate} frames"
        say(f"{candidate.shown}: {candidate.path}, {info.width}x{info.height}{frames}")
        for remark in info.remarks:
            note(f"{candidate.shown}: {remark}")
    for each in of_fate[Fate.KNOWN]:
        say(each.reason)
    counts = (f"{len(videos)} {fate}" for fate, videos in of_fate.items())
    say(f"videos: {', '.join(counts)}; lines of tables that cannot be used: {len(failures)}")
    _say_failures(failures + left_out)
    return not left_out and not failures


def _as_json(planned: "PlannedVideo") -> dict[str, Any]:
    candidate, info = planned.candidate, planned.info
    told: dict[str, Any] = {"path": str(candidate.path), "reason": planned.reason}
    told |= {"clip": candidate.name, "title": candidate.title, "scenario": candidate.scenario}
    told |= {"sha256": planned.digest, "known_as": [clip.name for clip in planned.known]}
    if info is not None:
        told |= {"width": info.width, "height": info.height, "rate": str(info.rate)}
        told |= {"frames": info.frame_estimate, "remarks": info.remarks}
    return told


def _add_all(
    workspace: Workspace,
    plan: "list[PlannedVideo]",
    policy: "Policy",
    jobs: int | None,
    failed: int,
) -> list[str]:
    """Add videos, print what comes of each, and return a sentence for each failure, in order.

    `failed` is the number of failures before.
    """
    from labeler.collect.batch import JOBS, add_all

    failures: dict[int, tuple[str, ...]] = {}
    clips = skipped = 0
    with bars("videos", len(plan)) as shown:
        outcomes = add_all(
            workspace,
            plan,
            policy,
            jobs or JOBS,
            lambda place: shown.begin(place, plan[place].candidate.shown),
        )
        for place, outcome in outcomes:
            shown.end(place)
            if isinstance(outcome, str):
                failures[place] = (outcome,)
                continue
            failures[place] = outcome.refused
            clips += len(outcome.clips)
            skipped += not outcome.clips and not outcome.refused
            _say_added(plan[place], outcome)
    found = [sentence for place in sorted(failures) for sentence in failures[place]]
    failed += len(found)
    if len(plan) > 1 or failed > 1:
        say(f"clips added: {clips}; videos skipped: {skipped}; failures: {failed}")
    return found


def _say_failures(sentences: list[str]) -> None:
    for sentence in sentences:
        err.print(f"mvps: {sentence}", markup=False, style="red")


def _say_added(planned: "PlannedVideo", added: "Added") -> None:
    candidate = planned.candidate
    for clip in added.clips:
        _say_clip(clip)
    for remark in added.remarks if added.clips else ():
        note(f"{candidate.path}: {remark}")
    if not added.known and not added.clips and planned.reason:
        say(planned.reason)
    if added.known:
        names = ", ".join(clip.name for clip in added.known)
        say(f"{candidate.path}: already added as {names}; skipped")
    for clip in added.known:
        told = {"scenario": candidate.scenario.value, "licence": candidate.licence}
        if candidate.source != readable(candidate.path.name):
            told["source"] = candidate.source
        for field, value in told.items():
            if value and (kept := str(getattr(clip, field))) != value:
                note(f"{clip.name} keeps the {field} {kept!r}, not {value!r}.")


def _say_clip(clip: Clip) -> None:
    """Print what a new clip is, and which collection rules it keeps."""
    say(
        f"{clip.shown}: {clip.frame_count} frames at {float(clip.fps):.4g} per second, "
        f"{clip.width}x{clip.height} ({clip.orientation}), {len(clip.key_frames)} key frames"
    )
    verdicts = check_video_rules(clip)
    kept = ", ".join(verdict.rule for verdict in verdicts if verdict.kept) or "no rule"
    say(f"{clip.name}: keeps {kept}; portrait and motion are judged once it has masks")
    for verdict in broken(verdicts):
        note(f"{clip.name}: breaks {verdict.rule}: {verdict.found}")
