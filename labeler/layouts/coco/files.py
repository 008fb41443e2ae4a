"""The files of a COCO dataset: its JSON files, and the pictures that they name."""

import os
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PureWindowsPath

from labeler.layouts.coco.instances import is_instances

_DESCRIPTIONS = ("_annotations.coco.json", "labels.json", "result.json")


def instance_files(folder: Path) -> list[Path]:
    """List a dataset's files of COCO instances: those named so, else those with such content.

    They are in the folder, in `annotations`, or beside their pictures in `train`, `valid`, ...
    """
    if folder.is_file():
        return [folder]
    known = [*sorted(folder.glob("*.json")), *sorted(folder.glob("annotations/*.json"))]
    known += sorted(path for name in _DESCRIPTIONS for path in folder.glob(f"*/{name}"))
    named = [p for p in known if p.name.startswith("instances") or p.name == _DESCRIPTIONS[0]]
    return named or [path for path in known if is_instances(path)]


class PictureFinder:
    """Finds the pictures that one JSON names, in the places where datasets have them.

    A name never leads out of the dataset's folder. Where there is no file of just that name, one
    that differs from it only in case or in how accents are written is taken.
    """

    def __init__(self, json: Path, folder: Path) -> None:
        """Look around a JSON of a dataset's folder; the folder may be the JSON itself."""
        self.json = json
        near = json.parent
        self.roots = [folder] if folder.is_dir() else [near, near.parent]
        self._names: dict[Path, dict[str, list[Path]]] = {}

    @cached_property
    def split(self) -> str:
        """The name of the part of the dataset that the JSON describes, such as train2017."""
        if self.json.name in _DESCRIPTIONS and self.json.parent not in self.roots:
            return self.json.parent.name
        return self.json.stem.removeprefix("instances_").removeprefix("panoptic_")

    def find(self, name: str) -> Path:
        """Return the file of a picture, which may not exist.

        Raises:
            ValueError: the name leads out of the dataset's folder.
        """
        places = list(self._places(name))
        inside = [each for each in places if each is not None]
        for path in inside:
            if os.path.isfile(path):  # False for a name that no file can have, too
                return path
        for path in inside:
            if len(same := self._alike(path)) == 1:
                return same[0]
        if None in places or not inside:
            raise ValueError("its file_name leads out of the dataset's folder, so it is not read")
        return inside[0]

    def _places(self, name: str) -> Iterator[Path | None]:
        """Yield where the picture may be, the likeliest place first; None for a place outside."""
        for each in [name] if "\\" not in name else [name, name.replace("\\", "/")]:
            if each.startswith("/") or PureWindowsPath(each).drive:
                continue
            for root in self.roots:
                for place in self._folders(root):
                    path = os.path.normpath(os.path.join(place, each))
                    yield None if path.split(os.sep)[0] == ".." else root / path

    def _folders(self, root: Path) -> list[str]:
        """List the folders of a dataset that pictures may be in, relative to it."""
        own = os.path.relpath(self.json.parent, root)
        return [f"images/{self.split}", self.split, own, "images", "."]

    def _alike(self, path: Path) -> list[Path]:
        if path.parent not in self._names:
            names: dict[str, list[Path]] = {}
            for file in path.parent.iterdir() if os.path.isdir(path.parent) else ():
                names.setdefault(_folded(file.name), []).append(file)
            self._names[path.parent] = names
        return self._names[path.parent].get(_folded(path.name), [])


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
