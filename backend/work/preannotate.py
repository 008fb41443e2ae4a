"""Masks the key frames of a clip whose mask is missing or out of date."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.reference import ReferenceBook
from labeler.revision import Revision, counting
from labeler.workspace.workspace import Workspace
from model.segmenter import Segmenter


@dataclass(frozen=True)
class Refresh:
    """What a refresh did to one clip.

    `segmented` are the frames that got a new prediction; `restored` are those that got back an
    earlier prediction of the same weights and references. `kept` counts the key frames that were
    up to date or masked by a person, `left` those that still have to be masked. `emptied` are the
    frames whose mask was not empty before and is now. `seconds` is the time it took, including
    reading and recording.
    """

    clip: str
    segmented: tuple[int, ...]
    kept: int
    emptied: tuple[int, ...]
    seconds: float
    left: int = 0
    restored: tuple[int, ...] = ()

    @property
    def ms_per_frame(self) -> float:
        """Mean milliseconds per segmented frame; 0 where there was none."""
        return 1000 * self.seconds / len(self.segmented) if self.segmented else 0.0


def refresh(
    workspace: Workspace,
    clip: Clip,
    segmenter: Segmenter,
    *,
    keep_other_weights: bool = False,
    only: int | None = None,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Refresh:
    """Bring a clip's predictions up to date with its references and the engine's weights.

    Frames whose references have changed come first: a person is at work there. If the same weights
    masked a frame with the same references before, that mask is restored and not computed again;
    this happens after a rollback, and after a correction was withdrawn.

    The outcome depends only on weights, references and frames: a second run changes nothing, and a
    killed run is resumed by the next one. No person's mask is touched. Corrections that arrive
    meanwhile are taken up before it returns.

    Args:
        workspace: where the clip is.
        clip: the clip.
        segmenter: the engine, with its weights.
        keep_other_weights: leave predictions of other weights alone unless their references
            changed; a correction then costs no more than its own effect.
        only: mask no other key frame than this one; `left` then counts the others, too.
        limit: mask at most this many frames; `left` then counts the rest.
        stop: asked after each frame; if true, the rest is left.
        progress: called with (frames done, frames to do).
    """
    started = time.perf_counter()
    segmented: list[int] = []
    restored: list[int] = []
    emptied: list[int] = []
    stopped = False
    while True:
        revisions = workspace.revisions_by_frame(clip)
        before = {f: latest for f, each in revisions.items() if (latest := counting(each))}
        book = workspace.references(clip, before).chosen_by(segmenter.choice)
        stale = [
            frame
            for frame in clip.key_frames
            if _is_stale(before.get(frame), frame, book, segmenter, keep_other_weights)
        ]
        room = len(stale) if limit is None else limit - len(segmented) - len(restored)
        urgent = [f for f in stale if f not in before or _is_outdated(before[f], book)]
        first = urgent or stale
        if only is not None:
            first = [frame for frame in stale if frame == only]
        if not first or room <= 0 or stopped:
            break
        centre = _last_corrected(before)
        chosen = sorted(sorted(first, key=lambda frame: abs(frame - centre))[:room])
        wanted = {frame: book.digest_for(frame) for frame in chosen}
        again = {
            frame
            for frame in chosen
            if _restore(
                workspace, clip, revisions.get(frame, ()), segmenter.model_version, wanted[frame]
            )
        }
        restored += again
        anew = [frame for frame in chosen if frame not in again]
        for segmentation in segmenter.segment(workspace.frames(clip), anew, book) if anew else ():
            frame, mask = segmentation.frame, segmentation.mask
            revision = workspace.record_prediction(
                clip,
                frame,
                mask,
                model_version=segmenter.model_version,
                references=wanted[frame],
                uncertainty=segmentation.uncertainty,
            )
            if revision is not None:
                segmented.append(frame)
                if not revision.area and frame in before and before[frame].area:
                    emptied.append(frame)
            if progress is not None:
                progress(len(segmented), len(stale))
            if stopped := stop():
                break
    done = {*segmented, *restored}
    return Refresh(
        clip=clip.name,
        segmented=tuple(sorted(set(segmented))),
        kept=len(clip.key_frames) - len(done) - len(stale),
        emptied=tuple(emptied),
        seconds=time.perf_counter() - started,
        left=len(stale),
        restored=tuple(sorted(set(restored) - set(segmented))),
    )


def _restore(
    workspace: Workspace,
    clip: Clip,
    revisions: Sequence[Revision],
    model_version: str,
    references: str,
) -> bool:
    """Record an earlier mask of these weights and references again; return if there was one."""
    asked = (model_version, references)
    earlier = [each for each in revisions if (each.model_version, each.references) == asked]
    if not earlier:
        return False
    last = earlier[-1]
    try:
        mask = workspace.read(last)
    except LabelerError:  # `mvps doctor` reports the damaged file; the mask is computed again
        return False
    workspace.record_prediction(
        clip,
        last.frame,
        mask,
        model_version=model_version,
        references=references,
        uncertainty=last.uncertainty or 0.0,
    )
    return True


def _last_corrected(current: Mapping[int, Revision]) -> int:
    """The key frame that a person masked last, or the first: the person goes on next to it."""
    human = [revision for revision in current.values() if revision.provenance.human]
    return max(human, key=lambda revision: revision.created).frame if human else 0


def _is_stale(
    revision: Revision | None,
    frame: int,
    book: ReferenceBook,
    segmenter: Segmenter,
    keep_other_weights: bool,
) -> bool:
    if revision is None:
        return True
    if revision.provenance.human:
        return False
    if _is_outdated(revision, book):
        return True
    return not keep_other_weights and revision.model_version != segmenter.model_version


def _is_outdated(revision: Revision, book: ReferenceBook) -> bool:
    """Whether a frame's references have changed since it was masked."""
    return not revision.provenance.human and revision.references != book.digest_for(revision.frame)
