"""Losses recomputed plainly: one sample, float64, loops."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.engines.pdnet.features import part_masks

Array = NDArray[np.float64]
HEIGHT, WIDTH = 64, 96
CELLS = (HEIGHT // 8, WIDTH // 8)


def plain_segmentation(logits: Array, target: Array, l1_weight: float) -> float:
    share = min(max(target.mean(), 0.05), 0.95)
    entropy = distance = 0.0
    for x, y in zip(logits.ravel(), target.ravel(), strict=True):
        s = 1 / (1 + math.exp(-x))
        entropy -= (1 - share) * y * math.log(s) + share * (1 - y) * math.log(1 - s)
        distance += abs(s - y)
    return (entropy + l1_weight * distance) / logits.size


def plain_jaccard(logits: Array, target: Array) -> float:
    both = either = 1.0
    for x, y in zip(logits.ravel(), target.ravel(), strict=True):
        s = 1 / (1 + math.exp(-x))
        both += s * y
        either += s + y - s * y
    return 1 - both / either


def plain_geometric(parts: Array) -> float:
    height, width = parts.shape[1:]
    total = 0.0
    for part in parts:
        cells = [
            (part[i, j], 2 * (j + 0.5) / width - 1, 2 * (i + 0.5) / height - 1)
            for i in range(height)
            for j in range(width)
        ]
        mass = sum(x for x, _, _ in cells) + 1e-6
        across = sum(x * u for x, u, _ in cells) / mass
        down = sum(x * v for x, _, v in cells) / mass
        total += sum(((u - across) ** 2 + (v - down) ** 2) * x / mass for x, u, v in cells)
    return total


def plain_semantic(features: Array, parts: Array, portrait: Array, basis: Array) -> float:
    vectors = [[max(value, 0.0) for value in row] for row in basis.tolist()]
    error = mass = 0.0
    for i in range(portrait.shape[0]):
        for j in range(portrait.shape[1]):
            mass += portrait[i, j]
            for c in range(len(features)):
                told = sum(parts[k, i, j] * vectors[k][c] for k in range(len(parts)))
                error += (portrait[i, j] * features[c, i, j] - told) ** 2
    return error / mass


def plain_penalty(basis: Array) -> float:
    rows = np.maximum(basis, 0)
    penalty = 0.0
    for k, one in enumerate(rows):
        for other_k, other in enumerate(rows):
            cosine = one @ other / math.sqrt((one @ one) * (other @ other))
            penalty += (cosine - (k == other_k)) ** 2
    return penalty


def plain_area(parts: Array) -> float:
    areas = [float(sum(value for row in part for value in row)) for part in parts]
    length = max(math.sqrt(sum(a * a for a in areas)), 1e-6)
    shares = [a / length for a in areas]
    mean = sum(shares) / len(shares)
    return sum((share - mean) ** 2 for share in shares) / len(shares)


def plain_readout(readout: Array, target: Array) -> float:
    total = 0.0
    for r, y in zip(readout.ravel(), target.ravel(), strict=True):
        r = 1e-3 + 0.998 * r
        total -= y * math.log(r) + (1 - y) * math.log(1 - r)
    return total / readout.size


def plain_cells(truth: Array) -> Array:
    """Averages over 8 x 8 pixels."""
    height, width = truth.shape
    return np.array(
        [
            [truth[i : i + 8, j : j + 8].mean() for j in range(0, width, 8)]
            for i in range(0, height, 8)
        ]
    )


def doubles(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def sigmoid(tensor: Tensor) -> Array:
    return 1 / (1 + np.exp(-doubles(tensor)))


def random_parts(
    samples: int = 2, parts: int = 3, height: int = 4, width: int = 7, dtype=torch.float32
) -> tuple[Tensor, Tensor]:
    """Parts and the portrait they share."""
    portrait = torch.rand(samples, 1, height, width, dtype=dtype)
    assignment = torch.randn(samples, parts, height, width, dtype=dtype).softmax(dim=1)
    return part_masks(portrait, assignment), portrait
