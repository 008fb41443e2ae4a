"""References and their masks: what guidance may and may not do."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.drivers.matcher import ReferenceFeatures
from model.engines.pdnet.features import Features, Output, known, part_masks, unguided
from tests.model.networks import (
    CELLS,
    GUIDANCE,
    TINY,
    assert_same,
    guided,
    images,
    make,
    perturb,
    plain_attention,
    trained,
)


def test_a_mask_takes_the_place_of_the_saliency() -> None:
    saliency, masks = torch.rand(2, 1, 3, 4), torch.rand(2, 1, 3, 4)
    assignment = torch.randn(2, 5, 3, 4).softmax(1)
    portrait = known(saliency, masks, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(part_masks(portrait, assignment).sum(1)[0], masks[0, 0])
    torch.testing.assert_close(part_masks(portrait, assignment).sum(1)[1], saliency[1, 0])


def test_guidance_does_nothing_at_initialisation() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        with_masks = network.decode(features[:1], guided(features[1:], sets=1))
        without = network.decode(features[:1], unguided(features[1:]))
    assert torch.equal(with_masks.logits, without.logits)
    assert torch.equal(with_masks.guided_saliency, without.guided_saliency)
    assert not torch.equal(with_masks.readout, without.readout)  # has no parameters to be zero


def test_without_masks_trained_guidance_does_nothing() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        references = replace(guided(features[1:], sets=1), given=torch.zeros(1, 2))
        before = network.decode(features[:1], references)
        perturb(network, GUIDANCE)
        assert_same(network.decode(features[:1], references), before, rtol=0, atol=0)
        # And it is guidance that was perturbed: with a mask every one of them counts.
        used = network.decode(features[:1], guided(features[1:], sets=1))
    assert not torch.allclose(used.logits, before.logits, atol=1e-2)


@pytest.mark.parametrize("name", GUIDANCE)
def test_every_way_of_guidance_reaches_the_result(name: str) -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        references = guided(features[1:], sets=1)
        before = network.decode(features[:1], references)
        perturb(network, [name])
        after = network.decode(features[:1], references)
    assert (after.logits - before.logits).abs().max() > 1e-4


def test_decay_cannot_act_on_a_single_reference() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(2, seed=1))
        references = guided(features[1:], sets=1)
        before = network.decode(features[:1], references)
        perturb(network, ["attention.decay"])
        assert_same(network.decode(features[:1], references), before)


def test_a_mask_overrules_the_saliency_both_ways() -> None:
    network = make()
    with torch.no_grad():
        network.override.fill_(1.0)
        features = network.encode(images(2, seed=1))
        references = guided(features[1:], sets=1)
        everything = replace(references, masks=torch.ones_like(references.masks))
        nothing = replace(references, masks=torch.zeros_like(references.masks))
        more = network.decode(features[:1], everything)
        less = network.decode(features[:1], nothing)
    own = more.saliency.sigmoid()
    torch.testing.assert_close(more.readout, torch.ones(1, 1, *CELLS))
    assert (more.guided_saliency > own).all()
    assert (less.guided_saliency < own).all()
    torch.testing.assert_close(
        less.guided_saliency.logit() + 6.9068, less.saliency, atol=1e-2, rtol=0
    )


def test_a_reference_twice_is_that_reference() -> None:
    network = trained()
    with torch.no_grad():
        features = network.encode(images(2, seed=1))
        once = guided(features[1:], sets=1)
        twice = ReferenceFeatures(
            features[[1, 1]],
            once.masks.repeat(1, 2, 1, 1, 1),
            once.given.repeat(1, 2),
            once.distance.repeat(1, 2),
        )
        assert_same(network.decode(features[:1], twice), network.decode(features[:1], once))


@pytest.mark.parametrize("merge", ["concat", "mean"])
def test_the_order_of_references_does_not_matter(merge: str) -> None:
    network = trained(replace(TINY, merge=merge))
    order = [2, 0, 1]
    with torch.no_grad():
        features = network.encode(images(4, seed=1))
        references = guided(features[1:], sets=1)
        shuffled = ReferenceFeatures(
            references.features[order],
            references.masks[:, order],
            references.given[:, order],
            references.distance[:, order],
        )
        assert_same(
            network.decode(features[:1], shuffled), network.decode(features[:1], references)
        )


@pytest.mark.parametrize("merge", ["concat", "mean"])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_targets_may_share_their_references(merge: str, count: int) -> None:
    network = trained(replace(TINY, merge=merge))
    with torch.no_grad():
        features = network.encode(images(3 + count, seed=1))
        targets, found = features[:3], features[3:]
        shared = replace(guided(found, sets=1), distance=torch.rand(3, count))
        together = network.decode(targets, shared)
        repeated = ReferenceFeatures(
            Features.cat([found] * 3),
            shared.masks.repeat(3, 1, 1, 1, 1),
            shared.given.repeat(3, 1),
            shared.distance,
        )
        assert_same(network.decode(targets, repeated), together)
        for i in range(3):
            alone = network.decode(targets[[i]], replace(shared, distance=shared.distance[[i]]))
            assert_same(alone, Output(*(value[[i]] for value in vars(together).values())))


@pytest.mark.parametrize("merge", ["concat", "mean"])
def test_attention_is_the_plain_softmax_with_bias_and_label(merge: str) -> None:
    network = trained(replace(TINY, merge=merge))
    with torch.no_grad():
        features = network.encode(images(6, seed=1))
        targets, references = features[:2], guided(features[2:], sets=2)
        summary, labels = network.attention(targets.parts, references)
        expected_summary, expected_labels = plain_attention(network, targets, references)
    torch.testing.assert_close(summary, expected_summary, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(labels, expected_labels, rtol=1e-4, atol=1e-5)


def test_attention_takes_a_kernel_that_stores_no_maps() -> None:
    # Any other kernel is forbidden here, so a mask or an odd layout of the tokens would raise.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = trained().to(device, memory_format=torch.channels_last)
    frames = images(5, seed=1).to(device, memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16):
        features = network.encode(frames)
        found = guided(features[3:].to("cpu"), sets=1)
        moved = (tensor.to(device) for tensor in (found.masks, found.given, found.distance))
        references = ReferenceFeatures(features[3:], *moved)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            output = network.decode(features[:3], references)
    assert output.logits.isfinite().all()


def test_trust_and_decay_choose_among_references() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(3, seed=1))
        references = ReferenceFeatures(
            features[1:],
            torch.stack([torch.ones(1, 1, *CELLS), torch.zeros(1, 1, *CELLS)], dim=1),
            torch.tensor([[1.0, 1.0]]),
            torch.tensor([[0.1, 0.9]]),
        )
        undecided = network.decode(features[:1], references).readout
        network.attention.decay.fill_(1000.0)
        near = network.decode(features[:1], references).readout
        network.attention.decay.fill_(-1000.0)
        clamped = network.decode(features[:1], references).readout
        network.attention.trust.fill_(1000.0)
        one_given = replace(references, given=torch.tensor([[0.0, 1.0]]))
        trusted = network.decode(features[:1], one_given).readout
    assert 0.1 < undecided.mean() < 0.9
    torch.testing.assert_close(near, torch.ones_like(near))
    torch.testing.assert_close(clamped, undecided)
    torch.testing.assert_close(trusted, torch.zeros_like(trusted))


def test_who_is_masked_is_looked_for_nearby_and_farther_away_after_more_time() -> None:
    network = make()
    with torch.no_grad():
        features = network.encode(images(2, seed=1))
        masks = torch.zeros(1, 1, 1, *CELLS)
        masks[..., :2, :2] = 1
        then = ReferenceFeatures(features[1:], masks, torch.ones(1, 1), torch.full((1, 1), 0.5))
        anywhere = network.decode(features[:1], then).readout
        network.attention.nearness.fill_(1000.0)
        there = network.decode(features[:1], then).readout
        network.attention.drift.fill_(1e9)
        faded = network.decode(features[:1], then).readout
        nobody = replace(then, given=torch.zeros(1, 1))
        saliency = network.decode(features[:1], nobody).readout
        network.attention.nearness.fill_(0.0)
        own = network.decode(features[:1], nobody).readout
    assert anywhere[..., 4:, 4:].min() > 1e-3
    torch.testing.assert_close(there, masks[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(faded, anywhere, atol=1e-3, rtol=0)
    assert torch.equal(saliency, own)


@pytest.mark.parametrize("name", ["trust", "decay", "nearness"])
def test_a_scalar_below_its_bound_can_return(name: str) -> None:
    network = make()
    scalar = network.get_parameter(f"attention.{name}")
    with torch.no_grad():
        scalar.fill_(-0.3)
        features = network.encode(images(3, seed=1))
    network.decode(features[:1], guided(features[1:], sets=1)).readout.sum().backward()  # type: ignore[no-untyped-call]
    assert scalar.grad is not None
    assert scalar.grad != 0
