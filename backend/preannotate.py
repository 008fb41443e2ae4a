"""Mask every key frame that is not masked yet with these weights and these references."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labeler.clip import Clip
from labeler.reference import ReferenceBook
from labeler.revision import Revision
from labeler.workspace import Workspace
from model.segmenter import Segmenter


@dataclass(frozen=True)
class Refresh:
    """What a refresh did to one clip.

    `segmented` are the frames that got a new prediction, `kept` how many key frames had theirs
    already or are a person's, `left` how many still have to be masked, `emptied` those whose
    mask was not empty before and is now, and `seconds` the time the engine took for `segmented`,
    reading and recording included.
    """

    clip: str
    segmented: tuple[int, ...]
    kept: int
    emptied: tuple[int, ...]
    seconds: float
    left: int = 0

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
    near: int | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Refresh:
    """Bring a clip's predictions up to date with its references and the engine's weights.

    A pure function of weights, references and frames: a second run changes nothing, a killed one
    is resumed by the next, and no person's mask is touched. Corrections that arrive meanwhile
    are taken up before it returns.

    Args:
        workspace: where the clip is.
        clip: the clip.
        segmenter: the engine, with its weights.
        keep_other_weights: leave predictions of other weights alone unless their references
            changed; a correction then costs no more than its own effect.
        near: the key frame to begin with, and to go on from to both sides; None is the last
            corrected one.
        limit: mask no more than so many frames; `left` says how many are to do then.
        progress: called with (frames done, frames to do).
    """
    started = time.perf_counter()
    segmented: list[int] = []
    emptied: list[int] = []
    while True:
        book = workspace.references(clip)
        before = workspace.current(clip)
        stale = [
            frame
            for frame in clip.key_frames
            if _is_stale(before.get(frame), frame, book, segmenter, keep_other_weights)
        ]
        room = len(stale) if limit is None else limit - len(segmented)
        if not stale or room <= 0:
            break
        centre = _last_corrected(before) if near is None else near
        nearest = sorted(sorted(stale, key=lambda frame: abs(frame - centre))[:room])
        for segmentation in segmenter.segment(workspace.frames(clip), nearest, book):
            frame, mask = segmentation.frame, segmentation.mask
            revision = workspace.record_prediction(
                clip,
                frame,
                mask,
                model_version=segmenter.model_version,
                references=book.digest_for(frame),
                uncertainty=segmentation.uncertainty,
            )
            if revision is not None:
                segmented.append(frame)
                if not revision.area and frame in before and before[frame].area:
                    emptied.append(frame)
            if progress is not None:
                progress(len(segmented), len(stale))
    return Refresh(
        clip=clip.name,
        segmented=tuple(sorted(set(segmented))),
        kept=len(clip.key_frames) - len(set(segmented)) - len(stale),
        emptied=tuple(emptied),
        seconds=time.perf_counter() - started,
        left=len(stale),
    )


def _last_corrected(current: Mapping[int, Revision]) -> int:
    """The key frame that a person masked last, or the first: next to it they go on."""
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
    if revision.references != book.digest_for(frame):
        return True
    return not keep_other_weights and revision.model_version != segmenter.model_version
