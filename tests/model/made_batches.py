"""Batches to train on in a test: bright discs on noise, moved in the references."""

import numpy as np
from torch.utils.data import Dataset

from model.samples.sample import Batch, ReferenceSample, Sample, collate
from model.samples.sample_recipe import SourceKind

SIDE = 64


class MadeBatches(Dataset[Batch]):
    """Batch i is a pure function of i; of its references a share has a mask."""

    def __init__(self, references: int = 1, batch_size: int = 2, given: float = 0.5) -> None:
        self.references, self.batch_size, self.given = references, batch_size, given

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Batch:
        size = self.batch_size
        return collate([self.sample(n) for n in range(index * size, (index + 1) * size)])

    def sample(self, index: int) -> Sample:
        rng = np.random.default_rng([3, index])
        image, mask = view(rng)
        references = []
        for _ in range(self.references):
            picture, truth = view(rng)
            given = bool(rng.uniform() < self.given)
            guide = truth & given
            references.append(ReferenceSample(picture, truth, guide, given, float(rng.uniform())))
        return Sample(SourceKind.STILL, True, image, mask, tuple(references))


def view(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    row, column = rng.integers(20, 44, 2)
    mask = (rows - row) ** 2 + (columns - column) ** 2 < int(rng.integers(60, 260))
    image = rng.integers(0, 120, (SIDE, SIDE, 3), np.uint8)
    image[mask] += 120
    return image, mask
