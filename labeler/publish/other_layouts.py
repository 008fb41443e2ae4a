"""Exports a dataset in any layout; other layouts are converted from an MVPS dataset."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from labeler.errors import LabelerError
from labeler.files import scratch_folder
from labeler.layouts.clips_table import has_clips_table
from labeler.layouts.coco.writing import NAMES as COCO_NAMES
from labeler.layouts.coco.writing import to_coco
from labeler.layouts.davis import NAMES as DAVIS_NAMES
from labeler.layouts.davis import to_davis
from labeler.layouts.layout import Layout
from labeler.layouts.mvps import Dataset, open_dataset
from labeler.layouts.reading import find_dataset
from labeler.layouts.writing import Progress
from labeler.layouts.youtube_vos import NAMES as YOUTUBE_VOS_NAMES
from labeler.layouts.youtube_vos import to_youtube_vos
from labeler.publish.export import refuse_foreign
from labeler.publish.split import SPLITS, Split

Report = TypeVar("Report")

_Writer = Callable[[Dataset, Path, Progress | None], None]

WRITERS: dict[Layout, tuple[_Writer, Collection[str]]] = {
    Layout.DAVIS: (to_davis, DAVIS_NAMES),
    Layout.YOUTUBE_VOS: (to_youtube_vos, YOUTUBE_VOS_NAMES),
    Layout.COCO: (to_coco, COCO_NAMES),
}
"""The writer of each layout, and the names of everything that it writes into its folder."""


def earlier_lists(target: Path, layout: Layout) -> Split:
    """Return the lists of an earlier export to a folder in another layout than MVPS.

    Raises:
        LabelerError: what is there is damaged.
    """
    if layout is Layout.MVPS or not has_clips_table(target):
        return Split()
    lists = find_dataset(target, layout).lists
    train, test = ([name for name, of in lists.items() if of == each] for each in SPLITS)
    return Split(tuple(train), tuple(test))


def export_as(
    layout: Layout,
    target: Path,
    export: Callable[[Path], Report],
    progress: Progress | None = None,
) -> Report:
    """Write a dataset in any layout; only a complete one replaces what `target` held.

    Any layout other than MVPS is converted from a complete MVPS dataset, which lies beside the
    target during the export.

    Args:
        layout: the layout to write.
        target: the dataset's folder: a new one, an empty one, or that of an earlier export.
        export: a function that writes the dataset in the MVPS layout into a given folder.
        progress: called with (files written, files to write), after `export` is done.

    Returns:
        What `export` returned.

    Raises:
        LabelerError: `target` holds something else, or `export` raised it. `target` is unchanged.
    """
    if layout is Layout.MVPS:
        return export(target)
    write, names = WRITERS[layout]
    refuse_foreign(target, names)
    target = target.resolve()
    beside = target.parent / f".{target.name}.partial"  # where `replacing` sweeps up after a kill
    try:
        with scratch_folder(beside) as scratch:
            report = export(scratch / "mvps")
            write(open_dataset(scratch / "mvps"), target, progress)
    except OSError as error:
        raise LabelerError(
            f"{target} could not be written ({error}); what was there before is unchanged."
        ) from error
    finally:
        with suppress(OSError):  # another process may be preparing its own in there
            beside.rmdir()
    return report
