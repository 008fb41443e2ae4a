"""Plans what becomes of videos, from the whole of what is named, before anything is written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from labeler.clip import Clip
from labeler.collect.candidates import Candidate, name_apart
from labeler.collect.ingest import Policy, digest_of, refusal, shots_are_missing, unforeseen
from labeler.collect.video import VideoInfo, probe_video
from labeler.errors import LabelerError
from labeler.text.naming import readable
from labeler.threads import call_all
from labeler.workspace.workspace import Workspace


class Fate(StrEnum):
    """What becomes of a video; the value is its name for a script."""

    COMES_IN = "comes in"
    KNOWN = "known"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class PlannedVideo:
    """A video and its fate.

    `digest` is the SHA-256 of the file, "" if it was not read. `reason` is a sentence on why the
    video is left out, or where it is already. `info` is None unless the video comes in; `known`
    are its clips that are in the workspace.
    """

    candidate: Candidate
    fate: Fate
    digest: str = ""
    reason: str = ""
    info: VideoInfo | None = None
    known: tuple[Clip, ...] = ()


def plan_videos(
    workspace: Workspace,
    candidates: Sequence[Candidate],
    policy: Policy,
    progress: Callable[[int, int], None] | None = None,
) -> list[PlannedVideo]:
    """Plan what becomes of each video, in order; nothing is written.

    Each file is read once, to know its content, and its first frame is decoded. Each video that
    comes in has a clip name of its own. A video that cannot be added costs no other its turn.

    Args:
        workspace: where the clips shall go.
        candidates: the videos.
        policy: how they are to be added.
        progress: called with (videos planned, videos to plan).
    """
    there = workspace.clips()
    clips_of: dict[str, tuple[Clip, ...]] = {}
    for clip in there:
        clips_of[clip.sha256] = (*clips_of.get(clip.sha256, ()), clip)
    taken = {clip.name for clip in there}
    if policy.split_cuts:  # then `walk` stands for walk-1, walk-2, ...
        parts = [name.rpartition("-") for name in taken]
        taken |= {before for before, _, number in parts if before and number.isdecimal()}
    named = name_apart(candidates, taken)
    plan: list[PlannedVideo] = []
    first: dict[str, Path] = {}
    of_source = {clip.source: clip.sha256 for clip in there}
    looks = (partial(_look, each, clips_of, policy) for each in _told_apart(named))
    for planned in call_all(looks):
        if planned.digest and planned.fate is Fate.COMES_IN:
            path = planned.candidate.path
            twin = first.setdefault(planned.digest, path)
            if twin is not path:
                why = f"{path} holds the same video as {twin}, which is added once."
                planned = replace(planned, fate=Fate.KNOWN, reason=why)
            else:
                planned = replace(planned, candidate=_with_own_source(planned, of_source))
        plan.append(planned)
        if progress is not None:
            progress(len(plan), len(named))
    return plan


def _with_own_source(planned: PlannedVideo, of_source: dict[str, str]) -> Candidate:
    """Return a candidate whose source is no other video's, if it is only the file's name.

    Clips of one source are never divided between training and test, and cameras give many videos
    one name. So folders come before it, as many as are needed.

    Args:
        planned: the video.
        of_source: the digest of each source that is known; this one is added.
    """
    candidate, source = planned.candidate, planned.candidate.source
    if source == readable(candidate.path.name):
        parts = candidate.path.absolute().parts[1:]
        for count in range(1, len(parts) + 1):
            source = readable("/".join(parts[-count:]))
            if of_source.get(source, planned.digest) == planned.digest:
                break
    of_source[source] = planned.digest
    return replace(candidate, source=source)


def _told_apart(candidates: Sequence[Candidate]) -> Iterator[PlannedVideo]:
    """Leave out what is named twice: the same file, or another by the same given name."""
    by_path: set[Path] = set()
    by_name: dict[str, Candidate] = {}
    for each in candidates:
        namesake = by_name.setdefault(each.name.lower(), each)
        if each.path.absolute() in by_path:
            yield _left_out(each, f"{each.path} is named twice; remove one.")
        elif namesake is not each:
            yield _left_out(
                each,
                f"{each.path} would be named {each.name!r} like {namesake.path}; give it another "
                "name, in the column `name` of a table.",
            )
        else:
            yield PlannedVideo(each, Fate.COMES_IN)
        by_path.add(each.path.absolute())


def _look(
    planned: PlannedVideo, clips_of: Mapping[str, tuple[Clip, ...]], policy: Policy
) -> PlannedVideo:
    """Read a video's bytes and first frame, and say what becomes of it."""
    candidate = planned.candidate
    if planned.fate is Fate.LEFT_OUT:
        return planned
    try:
        digest = digest_of(candidate)
        known = clips_of.get(digest, ())
        if known and not (policy.split_cuts and shots_are_missing(known)):
            names = ", ".join(clip.shown for clip in known)
            why = f"{candidate.path} is in the workspace already, as {names}."
            return PlannedVideo(candidate, Fate.KNOWN, digest, why, known=known)
        info = probe_video(candidate.path)
        if why := refusal(candidate, info, policy):
            return _left_out(candidate, why)
        return PlannedVideo(candidate, Fate.COMES_IN, digest, info=info, known=known)
    except LabelerError as error:
        return _left_out(candidate, str(error))
    except Exception as error:  # an unforeseen error of one video must not stop the others
        return _left_out(candidate, unforeseen(candidate, error))


def _left_out(candidate: Candidate, why: str) -> PlannedVideo:
    return PlannedVideo(candidate, Fate.LEFT_OUT, reason=why)
