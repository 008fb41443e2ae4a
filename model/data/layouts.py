"""Choose the reader for a folder by what the folder holds."""

from pathlib import Path

from labeler.layouts.mvps import FULL, SMALL, clip_folders, picture_tree
from model.data.coco import stills_from_coco
from model.data.folders import clips_from, stills_from
from model.data.portraits import stills_from_eg1800, stills_from_supervisely
from model.data.sources import Sources


def portraits_from(folder: Path) -> Sources:
    """List the training data in a folder whose labels show all people.

    The folder may be a dataset in the MVPS layout or DAVIS's, EG1800, Supervisely Person, MSCOCO
    with its folders `annotations` and `train2017`, or any pictures with masks; see the readers.
    Clips of other objects and backgrounds look the same on disk, so this function does not read
    them: see `clips_from` and `backgrounds_from`.

    Raises:
        LabelerError: the folder is none of these, or a file in it is missing or does not fit.
    """
    if any(clip_folders(picture_tree(folder, resolution)) for resolution in (FULL, SMALL)):
        return Sources(clips=clips_from(folder))
    if (folder / "eg1800_train.txt").is_file():
        return Sources(stills=stills_from_eg1800(folder))
    if any(folder.glob("ds*/img")):
        return Sources(stills=stills_from_supervisely(folder))
    instances = folder / "annotations" / "instances_train2017.json"
    if instances.is_file():
        return Sources(stills=stills_from_coco(folder / "train2017", instances))
    return Sources(stills=stills_from(folder))
