"""Small PDNets to test, and what they are fed with."""

from collections.abc import Iterable

import torch
from torch import Tensor

from model.drivers.matcher import ReferenceFeatures
from model.engines.pdnet.features import Features, Output, unguided
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import PDNetConfig

TINY = PDNetConfig("resnet18", width=32, compressed=16, parts=3)
HEIGHT, WIDTH = 64, 96
CELLS = (HEIGHT // 8, WIDTH // 8)
GUIDANCE = (
    "attention.label.weight",
    "attention.trust",
    "attention.nearness",
    "override",
    "hint.weight",
)
OF_DISTANCE = ("attention.decay", "attention.drift")
"""These say what distance in time changes: decay without masks too, drift of nearness."""


def make(config: PDNetConfig = TINY) -> PDNet:
    """A network in evaluation mode whose statistics fit its weights, so that logits are sane."""
    torch.manual_seed(0)
    network = PDNet(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        features = network.encode(images(4))
        network.decode(features, unguided(features, sets=4))
    return network.eval()


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def guided(features: Features, sets: int, seed: int = 0) -> ReferenceFeatures:
    """References of which every second, beginning with the first, has a random mask."""
    source = torch.Generator().manual_seed(seed)
    count = len(features) // sets
    given = (torch.arange(count) % 2 == 0).float().expand(sets, count)
    masks = torch.rand(sets, count, 1, *CELLS, generator=source) * given[:, :, None, None, None]
    return ReferenceFeatures(features, masks, given, torch.rand(sets, count, generator=source))


def perturb(network: PDNet, names: Iterable[str]) -> None:
    """Move parameters that start at zero to where training might."""
    source = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name in names:
            parameter = network.get_parameter(name)
            parameter += 0.5 * torch.rand(parameter.shape, generator=source) + 0.1


def trained(config: PDNetConfig = TINY) -> PDNet:
    """A network in which guidance, and what distance changes, do something."""
    network = make(config)
    perturb(network, (*GUIDANCE, *OF_DISTANCE))
    return network


def assert_same(one: Output, other: Output, rtol: float = 1e-4, atol: float = 1e-4) -> None:
    for name, value in vars(one).items():
        torch.testing.assert_close(
            value, vars(other)[name], rtol=rtol, atol=atol, msg=lambda m, name=name: f"{name}: {m}"
        )


def plain_attention(
    network: PDNet, targets: Features, references: ReferenceFeatures
) -> tuple[Tensor, Tensor]:
    """Sections 2.1 to 2.3 of the specification, one part of one target at a time, maps and all."""
    attention, c, p = network.attention, TINY.compressed, TINY.parts

    def weights(conv: torch.nn.Conv2d, k: int) -> Tensor:
        return conv.weight[k * c : (k + 1) * c, :, 0, 0]

    rows, columns = CELLS
    at = torch.tensor(
        [
            (10 * (y + 0.5) / rows, 10 * (x + 0.5) / columns)
            for y in range(rows)
            for x in range(columns)
        ]
    )
    apart = torch.cdist(at, at).square()
    summary = torch.empty(len(targets), p, c, *CELLS)
    labels = torch.empty(len(targets), p, *CELLS)
    sets, count = references.given.shape
    for b in range(sets):
        for k in range(p):
            query = weights(attention.query, k) @ targets.parts[b, k].flatten(1)
            logits, values, known_labels = [], [], []
            for m in range(count):
                r = b * count + m
                found = references.features.parts[r, k].flatten(1)
                share = references.features.assignment[r, k].flatten()
                saliency = references.features.saliency[r].sigmoid().flatten()
                g, v = references.masks[b, m].flatten(), references.given[b, m]
                d = references.distance[b, m]
                bias = attention.trust * v - attention.decay * d
                bias = bias - v * attention.nearness / (1 + attention.drift * d) * apart
                logits.append(query.T @ weights(attention.key, k) @ found / c**0.5 + bias)
                label = weights(attention.label, k) @ torch.stack([g * share, g, 1 - g])
                values.append(weights(attention.value, k) @ found + v * label)
                known_labels.append(v * g + (1 - v) * saliency)
            if network.config.merge == "concat":
                maps = torch.cat(logits, dim=1).softmax(1)
            else:
                maps = torch.cat([x.softmax(1) / count for x in logits], dim=1)
            summary[b, k] = (torch.cat(values, dim=1) @ maps.T).unflatten(1, CELLS)
            labels[b, k] = (maps @ torch.cat(known_labels)).unflatten(0, CELLS)
    return summary, labels
