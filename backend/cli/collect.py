"""The commands of collecting: videos come in, and are judged by the rules of MVPS."""

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
        typer.Option(help="Which of MVPS's seven they belong to, where no table says it."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The clip's name, for one video. Default: the file's.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a clip that breaks a rule; the default warns.")
    ] = False,
    split_cuts: Annotated[
        bool,
        typer.Option("--split-cuts", help="One clip per shot: NAME-1, NAME-2, ..."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, help="How many videos at a time. Default: cores / 2."),
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="A key frame every so many frames.")] = (
        KEY_FRAME_STRIDE
    ),
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE.csv",
            help="Add nothing, but write a table of the videos, to fill in and to add.",
        ),
    ] = None,
) -> None:
    """Decode videos into clips, at up to 30 FPS, and judge them by the rules of MVPS.

    The rules: a short side of at least 720 pixels, at least 6 s, no camera cut;
    and, once there are masks (see `mvps status`), a portrait, and obvious
    motion of it.

    A table of videos (CSV) has a line for each and begins with a line of names:

        path,scenario,source,licence
        walk.mp4,outdoor-activity,https://example.org/walk,CC BY 4.0

    `path` is relative to the table; `source`, the exact address of the video,
    and `licence` may be empty and stay with the clip; one more column, `name`,
    may name the clips. To begin one: mvps add FOLDER --template TABLE.csv

    Run it again after an interruption or with more videos: what is in is
    skipped. Videos that fail do not stop the others: they are listed at the
    end, and the exit code is 1.
    """
    if template is not None:
        files = [file for each in videos or () for file in _files(each)]
        write_template(template, files, scenario)
        say(f"{template}: {len(files)} videos; fill it in, then `mvps add {template}`")
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
    """Say how clips keep the collection rules of MVPS, rule by rule; look for cuts not looked for.

    That is for clips that came in by `mvps import`, or before there was this rule.
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
    """Decode a video into a clip, unless it is in already, and say what came of it."""
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
    """What the command line names, and a sentence for each line of a table that is no good."""
    candidates, failures = [], []
    for place in places:
        if place.suffix.lower() in {".csv", ".tsv"}:
            found, faults = read_candidates(place, scenario)
            candidates += found
            failures += faults
            continue
        if scenario is None:
            raise typer.BadParameter(
                f"say with --scenario what {place} belongs to: "
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
    """Add videos, say what comes of each, and return a sentence for each failure in their order.

    `failed` is the number of those that failed before.
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
        say(f"clips added: {clips}; videos in already: {skipped}; failures: {failed}")
    return found


def _say_added(candidate: Candidate, added: "Added") -> None:
    for clip in added.clips:
        _say_clip(clip)
    if added.known:
        names = ", ".join(clip.name for clip in added.known)
        say(f"{candidate.path}: in already, as {names}; skipped")
    for clip in added.known:
        told = {"scenario": candidate.scenario.value, "licence": candidate.licence}
        if candidate.source != candidate.path.name:
            told["source"] = candidate.source
        for field, value in told.items():
            if value and (kept := str(getattr(clip, field))) != value:
                note(f"{clip.name} keeps the {field} {kept!r}, not {value!r}.")


def _say_clip(clip: Clip) -> None:
    """Say what a new clip is, and how it keeps the collection rules."""
    say(
        f"{clip.name}: {clip.frame_count} frames at {float(clip.fps):.4g} per second, "
        f"{clip.width}x{clip.height} ({clip.orientation}), {len(clip.key_frames)} key frames"
    )
    verdicts = check_video_rules(clip)
    kept = ", ".join(verdict.rule for verdict in verdicts if verdict.kept) or "no rule"
    say(f"{clip.name}: keeps {kept}; portrait and motion are not judged yet: it has no masks")
    for verdict in broken(verdicts):
        note(f"{clip.name}: breaks {verdict.rule}: {verdict.found}")
