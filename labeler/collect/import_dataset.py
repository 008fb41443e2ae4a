"""Imports a dataset: its clips come into the workspace, with masks that are ACCEPTED."""

import math
import operator
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from labeler.clip import KEY_FRAME_STRIDE, Clip, Scenario, frame_name
from labeler.collect.import_files import (
    SeenMask,
    already_there,
    pictures_digest,
    read_masks,
    take_pictures,
)
from labeler.collect.import_plan import ImportPlan, PlannedClip, Wanted, plan_import
from labeler.errors import AlreadyInError, LabelerError
from labeler.layouts.foreign import ForeignDataset, LeftOut
from labeler.layouts.layout import Layout
from labeler.revision import Provenance, Revision
from labeler.text.valid import NAME_LENGTH, valid_text
from labeler.threads import THREADS, call_all
from labeler.workspace.workspace import Workspace

__all__ = ["Taken", "Wanted", "carry_out", "import_dataset"]


@dataclass(frozen=True)
class Taken:
    """The result of importing one clip: the `clip` in the workspace, or a `fault`.

    `new` says whether the import added the clip, or it was there already. `masks` is the number of
    masks that came with it. `remarks` are sentences on what was left out, and why; a clip that was
    left out without a fault has only remarks.
    """

    name: str
    clip: Clip | None = None
    new: bool = False
    masks: int = 0
    remarks: tuple[str, ...] = ()
    fault: str = ""


def import_dataset(
    workspace: Workspace, dataset: ForeignDataset, names: Sequence[str] | None, wanted: Wanted
) -> Iterator[Taken]:
    """Import clips of a dataset, each completely or not at all; yield the result of each in turn.

    Several clips are imported at once, as many as there are cores (at most 8).

    A clip whose pictures are in the workspace already is left as it is, so a second import changes
    nothing, and an interrupted one goes on. JPEG files keep their bytes; other pictures are encoded
    once. A damaged file costs only its own clip.

    Args:
        workspace: where the clips go.
        dataset: see `find_dataset`.
        names: the clips to import; all of them when None.
        wanted: what the dataset does not state.

    Raises:
        LabelerError: a clip of that name is not in the dataset, no scenario is known for a clip, or
            the workspace cannot be written.
    """
    yield from carry_out(workspace, dataset, plan_import(dataset, names, wanted), wanted)


def carry_out(
    workspace: Workspace, dataset: ForeignDataset, plan: ImportPlan, wanted: Wanted
) -> Iterator[Taken]:
    """Import what a plan says; see `import_dataset`.

    Raises:
        LabelerError: no scenario is known for a clip, or the workspace cannot be written.
    """
    unsaid = [clip.name for clip in plan.clips if clip.scenario is None]
    if unsaid:
        raise LabelerError(
            f"{dataset.folder} does not say which scenario {unsaid[0]!r} belongs to; give "
            "--scenario, one of " + ", ".join(each.value for each in Scenario) + "."
        )
    for each in plan.left_out:
        if each.name in dataset.clips:
            yield _not_taken(each)
    jobs = (partial(_take_or_fault, workspace, dataset, clip, wanted) for clip in plan.clips)
    if len(plan.clips) < THREADS:  # then the pictures of each clip keep all cores busy
        yield from map(operator.call, jobs)
    else:
        yield from call_all(jobs)


def _take_or_fault(
    workspace: Workspace, dataset: ForeignDataset, planned: PlannedClip, wanted: Wanted
) -> Taken:
    try:
        try:
            return _take(workspace, dataset, planned, wanted)
        except AlreadyInError:  # a clip with the same pictures came in just now
            return _take(workspace, dataset, planned, wanted)
    except LabelerError as error:
        return Taken(planned.key, fault=str(error))
    except OSError as error:
        raise LabelerError(
            f"{workspace.root} could not be written ({error}); {planned.key} is not in, and what "
            "is named above is. Make room, and run the same command again."
        ) from error
    except Exception as error:  # an unforeseen error of one clip must not stop the others
        return Taken(
            planned.key,
            fault=f"{planned.title} cannot be imported, for a reason that was not foreseen "
            f"({type(error).__name__}); please report it.",
        )


def _not_taken(left_out: LeftOut) -> Taken:
    if left_out.lost:
        return Taken(left_out.name, fault=f"{left_out.reason}.")
    return Taken(left_out.name, remarks=(left_out.reason,))


def _take(
    workspace: Workspace, dataset: ForeignDataset, planned: PlannedClip, wanted: Wanted
) -> Taken:
    name, new_name, found, places = planned.key, planned.name, planned.found, planned.places
    shared = Revision(
        clip=new_name,
        frame=0,
        number=1,
        provenance=Provenance.ACCEPTED,
        author=valid_text(f"import:{dataset.name}", NAME_LENGTH),
        model_version="",
        references="",
        uncertainty=None,
        digest="",
        area=0,
        created=datetime.now(UTC),
    )
    digest = pictures_digest(found.pictures.values())
    if known := already_there(workspace, new_name, digest):
        seen = read_masks(found, places, (known.width, known.height), shared)
        as_other = () if known.name == new_name else (f"it is in as clip {known.name!r}",)
        return Taken(name, known, remarks=as_other + _left_alone(workspace, known, seen))
    row = dataset.rows.get(name)
    if planned.scenario is None:
        raise AssertionError("import_dataset has checked that the scenario is known")
    with workspace.scratch() as folder:
        width, height = take_pictures(found, folder / "frames")
        seen = read_masks(found, places, (width, height), shared, folder / "masks")
        stride = wanted.stride or _stride(dataset.layout, seen)
        kept = [each for each in seen if not each.missing and each.frame % stride == 0]
        if not kept:
            return Taken(name, remarks=(*_remarks(seen, stride), "there is no other mask"))
        for frame in {each.frame for each in seen} - {each.frame for each in kept}:
            shutil.rmtree(folder / "masks" / frame_name(frame))
        clip = Clip(
            name=new_name,
            scenario=planned.scenario,
            frame_count=len(found.pictures),
            fps=planned.rate,
            width=width,
            height=height,
            source=row.source if row and row.source else f"{dataset.name}/{planned.title}",
            sha256=digest,
            stride=stride,
            licence=row.licence if row else "",
            split=planned.split,
            title=planned.own_name,
            first_number=min(planned.places),
            number_step=planned.step,
        )
        workspace.add_clip(clip, folder, [each.revision for each in kept])
    remarks = (*_renumbered(planned), *_remarks(seen, stride))
    return Taken(name, clip, True, len(kept), remarks)


def _renumbered(planned: PlannedClip) -> tuple[str, ...]:
    """Say that the frames have other numbers here, if the dataset does not begin at 0."""
    numbers = list(planned.places)
    if numbers[0] == 0 or len(numbers) == 1:
        return ()
    last = len(numbers) - 1
    return (
        f"its frames {numbers[0]} to {numbers[-1]} have the numbers 0 to {last} here, and their "
        "own in exports",
    )


def _stride(layout: Layout, seen: Sequence[SeenMask]) -> int:
    """Find the stride of the masks; MVPS masks every fifth frame, even if some are missing."""
    stride = math.gcd(*(each.frame for each in seen if not each.missing))
    if stride == 0 or (layout is Layout.MVPS and stride % KEY_FRAME_STRIDE == 0):
        return KEY_FRAME_STRIDE
    return stride


def _left_alone(workspace: Workspace, clip: Clip, seen: Sequence[SeenMask]) -> tuple[str, ...]:
    """List the remarks on a clip that is in already, also on masks that the workspace never had."""
    recorded = workspace.revisions_by_frame(clip)
    other = [
        each.frame
        for each in seen
        if not each.missing
        and each.frame % clip.stride == 0
        and all(each.revision.digest != known.digest for known in recorded.get(each.frame, ()))
    ]
    if not other:
        return _remarks(seen, clip.stride)
    return (
        *_remarks(seen, clip.stride),
        f"{_masks(other)} not imported, because the clip is in already; record one with "
        f"`mvps correct`: {_list(other)}",
    )


def _remarks(seen: Sequence[SeenMask], stride: int) -> tuple[str, ...]:
    """List the remarks on masks that were left out, or that have void pixels."""
    remarks = []
    whole = [each for each in seen if not each.missing]
    if between := [each.frame for each in whole if each.frame % stride]:
        remarks.append(
            f"{_masks(between)} left out, between the key frames (every {stride} frames): "
            f"{_list(between)}"
        )
    for missing in dict.fromkeys(each.missing for each in seen if each.missing):
        without = [each.frame for each in seen if each.missing == missing]
        remarks.append(f"{_masks(without)} left out, without {missing}: {_list(without)}")
    if void := [each.frame for each in whole if each.void and each.frame % stride == 0]:
        remarks.append(
            f"{_masks(void)} with undecided (void) pixels, which are background here: {_list(void)}"
        )
    return tuple(remarks)


def _masks(frames: Sequence[int]) -> str:
    return f"{len(frames)} mask{'s' if len(frames) > 1 else ''}"


def _list(frames: Sequence[int]) -> str:
    more = ", ..." if len(frames) > 5 else ""
    return f"frame{'s' if len(frames) > 1 else ''} {', '.join(map(str, frames[:5]))}{more}"
