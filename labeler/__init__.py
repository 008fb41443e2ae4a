"""The domain: clips, masks, references and datasets on disk, without torch and without HTTP.

`__all__` lists the public names. Each name is imported when it is first used, so `import labeler`
is fast, and code that needs no database runs where none is installed.
"""

from typing import TYPE_CHECKING

from labeler.lazy import import_lazily
from labeler.version import __version__

if TYPE_CHECKING:
    from labeler.clip import Clip, FrameFolder, FrameList, Frames, Image, Scenario, read_image
    from labeler.collect.import_dataset import import_dataset
    from labeler.collect.ingest import add_video
    from labeler.errors import LabelerError
    from labeler.inspect.finding import Finding
    from labeler.inspect.preview import overlay, write_preview
    from labeler.inspect.quality import find_suspicious
    from labeler.inspect.statistics import measure_dataset
    from labeler.layouts.layout import Layout
    from labeler.layouts.mvps import Dataset, open_dataset
    from labeler.layouts.reading import find_dataset
    from labeler.mask import Mask, encode_mask, read_mask
    from labeler.metrics import (
        Scores,
        boundary_measure,
        clip_scores,
        dataset_scores,
        region_similarity,
    )
    from labeler.publish.clip_faults import Fault
    from labeler.publish.export import export_mvps
    from labeler.publish.lists import split_dataset
    from labeler.publish.other_layouts import export_as
    from labeler.publish.resize import resize_dataset
    from labeler.publish.validate import validate
    from labeler.reference import Reference, ReferenceBook
    from labeler.revision import Provenance, Revision
    from labeler.workspace.integrity import open_workspace
    from labeler.workspace.workspace import Workspace

__all__ = [
    "Clip",
    "Dataset",
    "Fault",
    "Finding",
    "FrameFolder",
    "FrameList",
    "Frames",
    "Image",
    "LabelerError",
    "Layout",
    "Mask",
    "Provenance",
    "Reference",
    "ReferenceBook",
    "Revision",
    "Scenario",
    "Scores",
    "Workspace",
    "__version__",
    "add_video",
    "boundary_measure",
    "clip_scores",
    "dataset_scores",
    "encode_mask",
    "export_as",
    "export_mvps",
    "find_dataset",
    "find_suspicious",
    "import_dataset",
    "measure_dataset",
    "open_dataset",
    "open_workspace",
    "overlay",
    "read_image",
    "read_mask",
    "region_similarity",
    "resize_dataset",
    "split_dataset",
    "validate",
    "write_preview",
]

_HOMES = {
    "Clip": "labeler.clip",
    "Dataset": "labeler.layouts.mvps",
    "Fault": "labeler.publish.clip_faults",
    "Finding": "labeler.inspect.finding",
    "FrameFolder": "labeler.clip",
    "FrameList": "labeler.clip",
    "Frames": "labeler.clip",
    "Image": "labeler.clip",
    "LabelerError": "labeler.errors",
    "Layout": "labeler.layouts.layout",
    "Mask": "labeler.mask",
    "Provenance": "labeler.revision",
    "Reference": "labeler.reference",
    "ReferenceBook": "labeler.reference",
    "Revision": "labeler.revision",
    "Scenario": "labeler.clip",
    "Scores": "labeler.metrics",
    "Workspace": "labeler.workspace.workspace",
    "add_video": "labeler.collect.ingest",
    "boundary_measure": "labeler.metrics",
    "clip_scores": "labeler.metrics",
    "dataset_scores": "labeler.metrics",
    "encode_mask": "labeler.mask",
    "export_as": "labeler.publish.other_layouts",
    "export_mvps": "labeler.publish.export",
    "find_dataset": "labeler.layouts.reading",
    "find_suspicious": "labeler.inspect.quality",
    "import_dataset": "labeler.collect.import_dataset",
    "measure_dataset": "labeler.inspect.statistics",
    "open_dataset": "labeler.layouts.mvps",
    "open_workspace": "labeler.workspace.integrity",
    "overlay": "labeler.inspect.preview",
    "read_image": "labeler.clip",
    "read_mask": "labeler.mask",
    "region_similarity": "labeler.metrics",
    "resize_dataset": "labeler.publish.resize",
    "split_dataset": "labeler.publish.lists",
    "validate": "labeler.publish.validate",
    "write_preview": "labeler.inspect.preview",
}

__getattr__, __dir__ = import_lazily(globals(), _HOMES)
