"""Adds a video file to the workspace, as one clip or as one clip for each shot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa

from labeler.clip import KEY_FRAME_STRIDE, Clip, frame_name
from labeler.collect.candidates import Candidate
from labeler.collect.cuts import CutFinder
from labeler.collect.rules import SHORTEST_SIDE, broken, check_video_rules
from labeler.collect.video import VideoInfo, extract_frames, probe_video
from labeler.errors import AlreadyInError, LabelerError
from labeler.files import sha256_of, told_if_full, write_atomically
from labeler.text.naming import check_clip_name
from labeler.workspace import tables
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class Policy:
    """How videos are added.

    Every `stride`-th frame is a key frame; `stride` is at least 1. `strict` refuses clips that
    break a collection rule that needs no masks. `split_cuts` makes one clip of each shot.
    """

    stride: int = KEY_FRAME_STRIDE
    strict: bool = False
    split_cuts: bool = False


@dataclass(frozen=True)
class Added:
    """The result of adding a video: its new clips, its clips that were in already, and refusals.

    `refused` has a sentence for each clip that was not added. `remarks` has one for each way in
    which the pictures differ from the stored ones: tone-mapped, deinterlaced, made square.
    """

    clips: tuple[Clip, ...] = ()
    known: tuple[Clip, ...] = ()
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def add_video(
    workspace: Workspace,
    candidate: Candidate,
    policy: Policy | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Added:
    """Decode a video once and add its clips, each completely or not at all.

    A clip that is in already is left as it is, so an interrupted split goes on where it was.

    Args:
        workspace: where the clips go.
        candidate: the video, and what is known of it.
        policy: how it is added; the default policy if None.
        progress: called with the number of frames written so far, and the expected one.

    Raises:
        NoRoomError: the disk is full.
        LabelerError: the file is not a usable video, or a clip of another source has the name.
    """
    with told_if_full(workspace.root, "make room, and add the video again; nothing is lost"):
        return _add_video(workspace, candidate, policy or Policy(), progress)


def _add_video(
    workspace: Workspace,
    candidate: Candidate,
    policy: Policy,
    progress: Callable[[int, int | None], None] | None,
) -> Added:
    path, name = candidate.path, check_clip_name(candidate.name)
    if policy.split_cuts:
        check_clip_name(_shot_name(name, 999))  # else a long name fails only after the decoding
    digest = digest_of(candidate)
    known = workspace.clips_of(digest)
    if known and not (policy.split_cuts and shots_are_missing(known)):
        return Added(known=tuple(known))
    if known and not candidate.given:
        name = _name_of_shots(known)
    if not known:
        workspace.refuse_known(name, digest)
    info = probe_video(path)
    if why := refusal(candidate, info, policy):
        return Added(refused=(why,))
    finder = CutFinder(info.rate)
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        video = extract_frames(
            path,
            folder / "frames",
            None if progress is None else lambda done: progress(done, info.frame_estimate),
            finder.see,
        )
        whole = Clip(
            name=name,
            scenario=candidate.scenario,
            frame_count=video.frame_count,
            fps=video.fps,
            width=video.width,
            height=video.height,
            source=candidate.source,
            sha256=digest,
            stride=policy.stride,
            licence=candidate.licence,
            cuts=finder.cuts(),
            title=candidate.title,
        )
        clips, refused = [], []
        for clip in _shots(whole) if policy.split_cuts else [whole]:
            if policy.strict and (faults := broken(check_video_rules(clip))):
                what = "it" if clip is whole else f"its shot {clip.name}"
                why = "; ".join(f"it breaks {fault.rule}, {fault.found}" for fault in faults)
                refused.append(f"{path}: {what} was not added: {why}.")
                continue
            try:
                _take(workspace, clip, folder)
                clips.append(clip)
            except AlreadyInError:
                continue
            except LabelerError as error:
                if clip is whole:
                    raise
                refused.append(f"{path}: its shot {clip.name} was not added: {error}")
        known = [clip for clip in workspace.clips_of(digest) if clip not in clips]
        return Added(tuple(clips), tuple(known), tuple(refused), video.remarks)


def digest_of(candidate: Candidate) -> str:
    """Compute the SHA-256 of a video file.

    Raises:
        LabelerError: it is no file, or cannot be read.
    """
    if not candidate.path.is_file():
        raise LabelerError(f"{candidate.path} is not a file; give the path of a video.")
    try:
        return sha256_of(candidate.path)
    except OSError as error:
        raise LabelerError(
            f"{candidate.path} cannot be read ({error.strerror}); check its permissions, or copy "
            "it again."
        ) from None


def refusal(candidate: Candidate, info: VideoInfo, policy: Policy) -> str:
    """Say why a policy refuses a video before it is decoded; "" if it does not."""
    if not policy.strict or min(info.width, info.height) >= SHORTEST_SIDE:
        return ""
    why = f"the picture is {info.width}x{info.height}, its short side below {SHORTEST_SIDE}"
    return f"{candidate.path}: it was not added: it breaks short-side, {why}."


def unforeseen(candidate: Candidate, error: Exception) -> str:
    """Say that a video could not be added, for an error that nobody has foreseen."""
    return f"{candidate.path} could not be added ({type(error).__name__}: {error})."


def shots_are_missing(known: Sequence[Clip]) -> bool:
    """Tell whether these clips are shots of one source and other shots of it are missing."""
    total = known[0].source_frames
    return total is not None and sum(clip.frame_count for clip in known) < total


def _shot_name(name: str, number: int) -> str:
    return f"{name}-{number}"


def _name_of_shots(known: Sequence[Clip]) -> str:
    """Return the name before the numbers of shots that are in already, so that others join them."""
    name, dash, number = known[0].name.rpartition("-")
    return name if dash and number.isdecimal() else known[0].name


def _shots(whole: Clip) -> list[Clip]:
    """Make one clip for each shot; a clip without cuts is its own only shot."""
    bounds = [0, *(whole.cuts or ()), whole.frame_count]
    if len(bounds) == 2:
        return [whole]
    return [
        replace(
            whole,
            name=_shot_name(whole.name, number),
            frame_count=end - start,
            first_frame=start,
            source_frames=whole.frame_count,
            cuts=(),
        )
        for number, (start, end) in enumerate(pairwise(bounds), start=1)
    ]


def _take(workspace: Workspace, clip: Clip, folder: Path) -> None:
    """Add a clip whose frames lie in `folder`, numbered as in the source."""
    if clip.source_frames is None:
        workspace.add_clip(clip, folder)
        return
    with workspace.scratch() as own:
        (own / "frames").mkdir()
        for number, place in enumerate(clip.part):
            name = f"{frame_name(place)}.jpg"
            (folder / "frames" / name).rename(own / "frames" / f"{frame_name(number)}.jpg")
        workspace.add_clip(clip, own)


def look_for_cuts(
    workspace: Workspace, clip: Clip, progress: Callable[[int, int], None] | None = None
) -> Clip:
    """Look for camera cuts in the frames of a clip, and store the result with the clip.

    Nothing else of the clip changes. If the process is killed half way, nothing has changed.

    Args:
        workspace: where the clip is.
        clip: the clip.
        progress: called with (frames seen, frames to see).

    Raises:
        LabelerError: a frame is missing or damaged.
    """
    finder, frames = CutFinder(clip.fps), workspace.frames(clip)
    for index in range(len(frames)):
        finder.see(frames[index])
        if progress is not None:
            progress(index + 1, len(frames))
    judged = replace(clip, cuts=finder.cuts())
    with workspace.database.writing() as connection:
        write_atomically(workspace.clip_folder(clip.name) / "clip.json", judged.to_json().encode())
        row = sa.update(tables.clips).filter_by(name=clip.name)
        connection.execute(row.values(cuts=judged.cuts))
    return judged
