"""Recognizes the layout of a dataset by its content, and lists its clips."""

from collections.abc import Collection
from pathlib import Path

from labeler.errors import LabelerError
from labeler.layouts.clips_table import has_clips_table
from labeler.layouts.coco.files import instance_files
from labeler.layouts.coco.reading import find_coco
from labeler.layouts.davis import find_davis, resolutions
from labeler.layouts.foreign import ForeignDataset
from labeler.layouts.layout import Layout
from labeler.layouts.others.label_studio import find_label_studio, label_studio_files
from labeler.layouts.others.pairs import find_pairs, paired_folders
from labeler.layouts.others.supervisely import find_supervisely, supervisely_pictures
from labeler.layouts.youtube_vos import find_youtube_vos, splits


def find_dataset(
    folder: Path,
    layout: Layout | None = None,
    *,
    resolution: str | None = None,
    categories: Collection[str] = ("person",),
    folders_are_clips: bool = False,
    crowds: bool = False,
) -> ForeignDataset:
    """List what there is to import in a dataset; only names and tables are read.

    Args:
        folder: the dataset; for COCO also the JSON itself.
        layout: its layout; None recognizes the layout by the folder's content.
        resolution: for MVPS and DAVIS; see `find_davis`.
        categories: the categories of people, in layouts that have categories.
        folders_are_clips: for COCO; see `find_coco`.
        crowds: for COCO; see `find_coco`.

    Raises:
        LabelerError: the layout is none of these, or not the given one.
    """
    layout = layout or layout_of(folder)
    if resolution is not None and layout not in (Layout.MVPS, Layout.DAVIS):
        raise LabelerError(
            f"{folder} is read as {layout.value}, which has one resolution; leave out --resolution."
        )
    match layout:
        case Layout.MVPS | Layout.DAVIS:
            return find_davis(folder, layout, resolution)
        case Layout.YOUTUBE_VOS:
            return find_youtube_vos(folder, categories)
        case Layout.COCO:
            return find_coco(folder, categories, folders_are_clips=folders_are_clips, crowds=crowds)
        case Layout.SUPERVISELY:
            return find_supervisely(folder, categories)
        case Layout.LABEL_STUDIO:
            people = [*categories, "portrait"] if list(categories) == ["person"] else categories
            return find_label_studio(folder, people)  # our own projects call people so
        case Layout.PAIRS:
            return find_pairs(folder, categories)


def layout_of(folder: Path) -> Layout:
    """Recognize the layout of a dataset.

    Raises:
        LabelerError: it is none of these layouts; the message says what was looked for.
    """
    if not folder.exists():
        raise LabelerError(f"{folder} is missing; give the folder of a dataset.")
    if resolutions(folder):
        return Layout.MVPS if has_clips_table(folder) else Layout.DAVIS
    if splits(folder):
        return Layout.YOUTUBE_VOS
    if instance_files(folder):
        return Layout.COCO
    if supervisely_pictures(folder):
        return Layout.SUPERVISELY
    if label_studio_files(folder):
        return Layout.LABEL_STUDIO
    if paired_folders(folder):
        return Layout.PAIRS
    raise LabelerError(
        f"{folder} is no dataset: looked for JPEGImages/480p/<clip> with Annotations (MVPS, "
        "DAVIS), JPEGImages/<clip> with Annotations, also in train and valid (YouTube-VOS), and "
        "annotations/instances_*.json (COCO), img and ann (Supervisely), a JSON of Label Studio, "
        "and images with masks; name the layout with --format."
    )
