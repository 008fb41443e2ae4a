"""PDNet: shapes, sizes, and the equations of the paper."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from model.engines.pdnet.features import Features, unguided
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import CONFIGURATIONS
from model.nn.resnet import ResNet
from tests.model.networks import (
    CELLS,
    GUIDANCE,
    HEIGHT,
    OF_DISTANCE,
    TINY,
    WIDTH,
    assert_same,
    guided,
    images,
    make,
    perturb,
    plain_attention,
    trained,
)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_output_shapes(name: str) -> None:
    with torch.device("meta"):
        network = PDNet(CONFIGURATIONS[name])
        features = network.encode(torch.empty(6, 3, 96, 128), auxiliary=True)
        output = network.decode(features[:2], unguided(features[2:], sets=2))
    width = CONFIGURATIONS[name].width
    assert {key: tuple(value.shape) for key, value in vars(features).items()} == {
        "appearance": (6, width, 24, 32),
        "parts": (6, 5, 64, 12, 16),
        "saliency": (6, 1, 12, 16),
        "assignment": (6, 5, 12, 16),
        "auxiliary": (6, 4, 96, 128),
    }
    assert {key: tuple(value.shape) for key, value in vars(output).items()} == {
        "logits": (2, 1, 96, 128),
        "saliency": (2, 1, 12, 16),
        "guided_saliency": (2, 1, 12, 16),
        "readout": (2, 1, 12, 16),
        "part_masks": (2, 5, 12, 16),
    }


@pytest.mark.parametrize(
    ("name", "parameters", "uncached", "cached"),
    # pdnet's are those of an independent prototype of the paper's network, pdnet-small's our own.
    [("pdnet", 29.2e6, 197e9, 127e9), ("pdnet-small", 12.8e6, 81.8e9, 56.0e9)],
)
def test_size_and_cost(name: str, parameters: float, uncached: float, cached: float) -> None:
    with torch.device("meta"), torch.no_grad():
        network = PDNet(CONFIGURATIONS[name]).train()  # guidance is computed in any case
        with FlopCounterMode(display=False) as encoding:
            features = network.encode(torch.empty(1, 3, 480, 480))
        with FlopCounterMode(display=False) as decoding:
            network.decode(features, unguided(features))
    encode, decode = encoding.get_total_flops(), decoding.get_total_flops()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=0.05)
    assert 2 * encode + decode == pytest.approx(uncached, rel=0.05)
    assert encode + decode == pytest.approx(cached, rel=0.05)


def test_targets_sharing_references_project_them_once() -> None:
    with torch.device("meta"), torch.no_grad():
        network = PDNet(TINY).eval()
        features = network.encode(torch.empty(3, 3, 96, 96))
        attention = network.attention
        with FlopCounterMode(display=False) as shared:
            attention(features.parts, unguided(features[:1]))
        with FlopCounterMode(display=False) as apart:
            attention(features.parts, unguided(features, sets=3))
    # Key, value and label of two references: 144 cells x 3 parts x 16 outputs x (16 + 16 + 3).
    saved = 2 * 2 * 144 * 3 * 16 * (16 + 16 + 3)
    assert apart.get_total_flops() - shared.get_total_flops() == saved


def test_the_encoder_is_one_and_looks_at_each_frame_alone() -> None:
    network = make()
    assert sum(isinstance(module, ResNet) for module in network.modules()) == 1
    frames = images(2, seed=1)
    with torch.no_grad():
        together = network.encode(frames)
        alone = Features.cat([network.encode(frames[:1]), network.encode(frames[1:])])
    for name, value in vars(together).items():
        torch.testing.assert_close(value, vars(alone)[name], rtol=1e-4, atol=1e-4)


def test_parts_sum_to_the_saliency() -> None:
    network = trained()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        output = network.decode(features[:1], guided(features[1:], sets=1))
    torch.testing.assert_close(features.assignment.sum(1), torch.ones(3, *CELLS))
    assert features.assignment.std() > 0.01
    torch.testing.assert_close(output.part_masks.sum(1, keepdim=True), output.guided_saliency)


def test_decoding_is_the_equations_of_the_specification() -> None:
    network = trained()
    seen: list[Tensor] = []
    network.fusion.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    with torch.no_grad():
        features = network.encode(images(6, seed=1))
        targets, references = features[:2], guided(features[2:], sets=2)
        output = network.decode(targets, references)
        summary, labels = plain_attention(network, targets, references)
        readout = sum(targets.assignment[:, [k]] * labels[:, [k]] for k in range(TINY.parts))
        opinion = torch.logit(readout, eps=1e-3)
        portrait = torch.sigmoid(targets.saliency + network.override * opinion)
        masks = portrait * targets.assignment  # eq 1
        motion = sum(masks[:, [k]] * summary[:, k] for k in range(TINY.parts))  # eq 2
    torch.testing.assert_close(output.readout, readout, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.guided_saliency, portrait, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.part_masks, masks, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen[1], motion, rtol=1e-4, atol=1e-5)


def test_motion_is_nothing_where_there_is_no_portrait() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        empty = replace(features[:1], saliency=torch.full((1, 1, *CELLS), -100.0))
        one = network.decode(empty, unguided(features[1:2]))
        other = network.decode(empty, unguided(features[2:]))
    assert torch.equal(one.logits, other.logits)


@pytest.mark.parametrize("moved", [False, True], ids=["at-initialisation", "moved"])
def test_gradients_reach_every_parameter(moved: bool) -> None:
    # No parameter may have a zero gradient even at initialisation: each zero factor multiplies
    # something that is not zero. That trust, decay and override start at the edge of their
    # clamps or at zero must not stop them either. `moved` checks it away from that point. Only
    # drift has to wait for nearness, which it changes, to be something.
    torch.manual_seed(0)
    network = PDNet(TINY).train()
    if moved:
        perturb(network, (*GUIDANCE, *OF_DISTANCE))
    features = network.encode(images(6), auxiliary=True)
    output = network.decode(features[:2], guided(features[2:], sets=2))
    weight = torch.randn(output.logits.shape, generator=torch.Generator().manual_seed(3))
    loss = (output.logits * weight).sum() + (features.auxiliary * weight[:1]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    without = [
        name
        for name, parameter in network.named_parameters()
        if (moved or name != "attention.drift")
        and (
            parameter.grad is None
            or not parameter.grad.isfinite().all()
            or not parameter.grad.any()
        )
    ]
    assert without == []


def test_parts_start_different_and_see_only_their_own() -> None:
    network = make(CONFIGURATIONS["pdnet-small"])
    groups = network.decoupler.groups
    for block in groups:
        parts = block[0].weight.chunk(5)
        assert all(not torch.equal(parts[0], other) for other in parts[1:])
    x = torch.randn(1, 64, *CELLS)
    with torch.no_grad():
        before = groups(x).chunk(5, dim=1)
        for block in groups:
            block[0].weight[: len(block[0].weight) // 5] += 1.0
        after = groups(x).chunk(5, dim=1)
    assert not torch.allclose(after[0], before[0])
    for k in range(1, 5):
        torch.testing.assert_close(after[k], before[k])


def test_one_part_is_the_portrait() -> None:
    network = trained(replace(TINY, parts=1))
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        output = network.decode(features[:1], guided(features[1:], sets=1))
    assert torch.equal(features.assignment, torch.ones(3, 1, *CELLS))
    torch.testing.assert_close(output.part_masks, output.guided_saliency)
    assert output.logits.isfinite().all()


def test_without_parts_references_do_not_matter() -> None:
    network = make(replace(TINY, parts=0))
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert names == {"body", "pyramid", "sides", "decoupler", "head"}
    with torch.no_grad():
        features = network.encode(images(3, seed=1), auxiliary=True)
        one = network.decode(features[:1], guided(features[1:2], sets=1))
        other = network.decode(features[:1], guided(features[1:], sets=1))
        moved = network.decode(features[1:2], guided(features[1:2], sets=1))
    assert_same(one, other, rtol=0, atol=0)
    assert one.logits.shape == (1, 1, HEIGHT, WIDTH)
    assert one.part_masks.shape == (1, 0, *CELLS)
    assert not torch.allclose(one.logits, moved.logits)


def test_it_is_the_same_again_under_a_seed() -> None:
    one, other = make(), make()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_mixed_precision_keeps_probabilities_in_float32_and_gradients_flowing() -> None:
    network = trained()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        exact = network.decode(features[:1], guided(features[1:], sets=1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network.encode(images(3, seed=1), auxiliary=True)
        output = network.decode(features[:1], guided(features[1:], sets=1))
    assert features.parts.dtype == torch.bfloat16
    kept = (features.saliency, features.assignment, features.auxiliary, *vars(output).values())
    assert {value.dtype for value in kept} == {torch.float32}
    torch.testing.assert_close(output.guided_saliency, exact.guided_saliency, atol=0.05, rtol=0)
    torch.testing.assert_close(output.readout, exact.readout, atol=0.05, rtol=0)
    output.logits.sum().backward()  # type: ignore[no-untyped-call]
    for name in (*GUIDANCE, *OF_DISTANCE):
        gradient = network.get_parameter(name).grad
        assert gradient is not None, name
        assert gradient.any(), name


def test_side_outputs_are_computed_only_when_asked_for() -> None:
    network = make()
    with torch.no_grad():
        without, asked = network.encode(images(1)), network.encode(images(1), auxiliary=True)
    assert without.auxiliary.shape == (1, 0, HEIGHT, WIDTH)
    assert asked.auxiliary.shape == (1, 4, HEIGHT, WIDTH)
    assert torch.equal(without.parts, asked.parts)


@pytest.mark.parametrize("shape", [(1, 3, 100, 96), (1, 3, 96, 90), (1, 1, 96, 96), (3, 96, 96)])
def test_an_image_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"multiples of 32, not .*\d+ x 9[06]"):
        make().encode(torch.zeros(shape))


def test_references_for_another_number_of_targets_are_refused() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(3))
    with pytest.raises(ValueError, match="2 reference sets, 3 targets"):
        network.decode(features, guided(features[:2], sets=2))


def test_one_call_is_encode_and_decode():
    network = trained()
    frames, given = images(5), torch.zeros(2, 1, *images(1).shape[-2:])
    given[:, :, 8:40, 8:40] = 1
    with torch.no_grad():
        alone = network(frames[2:])
        told = network(frames[2:], frames[:2], given)
        unmasked = network(frames[2:], frames[:2])
        features = network.encode(frames)
        expected = network.decode(features[2:], unguided(features[:2])).logits
        first = network.decode(features[2:], unguided(features[2:3])).logits
    assert told.shape == (3, 1, *frames.shape[-2:])
    torch.testing.assert_close(unmasked, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(alone, first, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(told, unmasked)
