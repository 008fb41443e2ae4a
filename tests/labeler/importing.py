"""A dataset taken into a workspace, and the masks that came of it."""

from pathlib import Path

import numpy as np

from labeler.clip import Scenario
from labeler.collect.import_dataset import Taken, Wanted, import_dataset
from labeler.layouts.reading import find_dataset
from labeler.workspace.workspace import Workspace
from tests.labeler.made_foreign import objects

NEWS = Wanted(Scenario.NEWS)
ONE = objects(1)


def take(
    workspace: Workspace, folder: Path, wanted: Wanted = NEWS, **how: object
) -> dict[str, Taken]:
    found = find_dataset(folder, **how)  # type: ignore[arg-type]
    return {each.name: each for each in import_dataset(workspace, found, None, wanted)}


def masks(workspace: Workspace, name: str) -> dict[int, np.ndarray]:
    current = workspace.current(workspace.clip(name))
    return {frame: workspace.read(revision) for frame, revision in sorted(current.items())}


def columns(*filled: int) -> np.ndarray:
    return objects(*filled) > 0
