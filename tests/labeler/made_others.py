"""Small datasets of tools whose layouts are read only, made for a test file by file."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from labeler.mask import Mask
from tests.labeler.made_datasets import made_picture, write_picture
from tests.labeler.made_foreign import SIZE

PERSON = np.zeros(SIZE[::-1], bool)
PERSON[4:20, 10:22] = True


def picture(path: Path) -> Path:
    write_picture(path, made_picture(path.name, 0, SIZE))
    return path


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(pixels))


def bitmap(mask: Mask, left: int = 0, top: int = 0) -> dict:
    data = base64.b64encode(zlib.compress(png(mask.astype(np.uint8) * 255))).decode()
    return {"classTitle": "person_bmp", "bitmap": {"data": data, "origin": [left, top]}}


def polygon(points: list, holes: list = [], title: str = "Person") -> dict:  # noqa: B006
    return {"classTitle": title, "points": {"exterior": points, "interior": holes}}


def supervisely(folder: Path, annotations: dict[str, dict]) -> Path:
    for name, content in annotations.items():
        picture(folder / "ds1" / "img" / f"{name}.jpg")
        path = folder / "ds1" / "ann" / f"{name}.jpg.json"
        path.parent.mkdir(exist_ok=True)
        size = {"width": SIZE[0], "height": SIZE[1]}
        path.write_text(json.dumps({"size": size, "tags": []} | content))
    return folder


def region(kind: str, value: dict, label: str = "Portrait") -> dict:
    return {
        "type": kind,
        "original_width": SIZE[0],
        "original_height": SIZE[1],
        "image_rotation": 0,
        "value": {kind: [label]} | value,
    }


def label_studio(folder: Path, tasks: dict[str, list]) -> Path:
    content = []
    for number, (name, annotations) in enumerate(tasks.items()):
        picture(folder / "images" / name)
        data = {"image": f"/data/upload/1/0123abcd-{name}"}
        if number % 2:
            data = {"image": f"/data/local-files/?d=clips/x/frames/{name}"}
        results = [{"result": regions, "was_cancelled": False} for regions in annotations]
        content.append({"id": number, "data": data, "annotations": results})
    (folder / "export.json").write_text(json.dumps(content))
    return folder
