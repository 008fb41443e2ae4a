import pytest
import torch
from torch.nn import functional as F

from model.engines.gam.learner import GAMLearner
from model.engines.gam.network import EARLIER, GAM, ChannelAttention, MaskEmbedding, Memory
from model.engines.gam.recipes import CONFIGURATIONS, RECIPES, GAMConfig
from tests.model.made_batches import MadeBatches

TINY = GAMConfig("resnet18", keys=16, values=24, width=16, fine=8)
SIZE = (64, 96)


def make(config: GAMConfig = TINY) -> GAM:
    torch.manual_seed(0)
    return GAM(config).eval()


def images(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def masks(count: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    found = torch.zeros(count, 1, *size)
    for number in range(count):
        found[number, :, 10 + number : 40, 20:60] = 1
    return found


def earlier(count: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return F.avg_pool2d(masks(count, size), 4).expand(-1, EARLIER, -1, -1)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_shapes(name):
    with torch.no_grad():
        network = make(CONFIGURATIONS[name])
        features = network.encode(images(2))
        summary = network.remember(features, masks(2))
        logits = network.recall(features, Memory(summary, 1), earlier(2))
    config = CONFIGURATIONS[name]
    assert summary.shape == (2, config.keys, config.values)
    assert features.coarse.shape[-2:] == (4, 6)
    assert logits.shape == (2, 1, 16, 24)
    assert summary.dtype == logits.dtype == torch.float32


def test_half_the_small_one_fits_into_the_project():
    tensors = GAM(CONFIGURATIONS["gam-small"]).state_dict().values()
    assert sum(2 * tensor.numel() for tensor in tensors) < 30e6


@pytest.mark.parametrize("shape", [(1, 3, 64, 90), (1, 4, 64, 96), (3, 64, 96)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="multiples of 16"):
        make().encode(torch.zeros(shape))


def test_what_is_remembered_is_a_plain_recomputation():
    network = make()
    with torch.no_grad():
        features = network.encode(images(2))
        found = network.remember(features, masks(2))
        values = network.masks(features, masks(2))
    for frame in range(2):
        for channel in range(TINY.keys):
            logits = features.keys[frame, channel].flatten().double()
            weights = (logits - logits.max()).exp()
            weights /= weights.sum()
            plain = (values[frame].flatten(1).double() * weights).sum(1)
            torch.testing.assert_close(found[frame, channel].double(), plain, rtol=1e-4, atol=1e-5)


def test_memory_is_as_large_for_any_picture_and_any_number_of_frames():
    network = make()
    with torch.no_grad():
        small, large = (
            network.remember(network.encode(images(1, size)), masks(1, size))
            for size in ((64, 64), (160, 192))
        )
        many = torch.stack([small] * 50).mean(0)
    assert small.shape == large.shape == many.shape
    # Means of values, whatever the number of positions: of the same magnitude.
    assert 0.2 < float(small.std() / large.std()) < 5


def test_frames_of_a_batch_do_not_know_each_other():
    network = make()
    with torch.no_grad():
        features = network.encode(images(3))
        summary = network.remember(features, masks(3))
        together = network.recall(features, Memory(summary, 1), earlier(3))
        alone = network.recall(features[1:2], Memory(summary[1:2], 1), earlier(3)[1:2])
        swapped = network.recall(
            features[[2, 1, 0]], Memory(summary.flip(0), 1), earlier(3).flip(0)
        )
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.flip(0), swapped, rtol=1e-4, atol=1e-4)


def test_a_frame_replaced_in_memory_leaves_nothing_of_what_it_was():
    network = make()
    with torch.no_grad():
        summaries = network.remember(network.encode(images(4)), masks(4))
        other = network.remember(network.encode(images(1)), 1 - masks(1))[0]
        memory = summaries.sum(0)
        memory = memory + other - summaries[0]
        scratch = other + summaries[1:].sum(0)
    torch.testing.assert_close(memory, scratch, rtol=1e-5, atol=1e-5)


def test_the_memory_the_masks_before_and_their_order_all_count():
    network = make()
    with torch.no_grad():
        features = network.encode(images(1))
        summary = network.remember(features, masks(1))
        before = earlier(1).clone()
        before[:, 0] = 0
        found = network.recall(features, Memory(summary, 1), before)
        assert not torch.allclose(found, network.recall(features, Memory(2 * summary, 1), before))
        assert not torch.allclose(
            found, network.recall(features, Memory(summary, 1), before.flip(1))
        )


def test_channel_attention_changes_nothing_at_first_and_mixes_what_is_alike():
    attention, x = ChannelAttention("cosine"), torch.randn(2, 6, 4, 5)
    assert torch.equal(attention(x), x)
    attention.share.data.fill_(1.0)
    twins = x.clone()
    twins[:, 1] = 3 * twins[:, 0]  # the same direction, another length
    mixed = attention(twins) - twins
    torch.testing.assert_close(mixed[:, 0], mixed[:, 1])
    rows = twins[0].flatten(1).double()
    unit = rows / rows.norm(dim=1, keepdim=True)
    plain = ((unit @ unit.T) * len(rows) ** 0.5).softmax(1) @ rows
    torch.testing.assert_close(mixed[0].flatten(1).double(), plain, rtol=1e-4, atol=1e-5)


def test_channel_attention_is_equations_4_to_7():
    torch.manual_seed(0)
    attention, x = ChannelAttention(), 0.4 * torch.randn(2, 6, 4, 5)
    assert torch.equal(attention(x), x)  # alpha is 0 at first
    attention.share.data.fill_(0.7)
    found = attention(x)
    for one, mapped in zip(x.double(), found.double(), strict=True):
        inner = one.flatten(1).T  # N x C, f_in
        R = torch.empty(6, 6, dtype=torch.float64)
        for i in range(6):
            for j in range(6):
                R[i, j] = (inner[:, i] * inner[:, j]).sum()
        normalised = R.exp() / R.exp().sum(dim=0, keepdim=True)  # over i, for each j
        plain = 0.7 * inner @ normalised + inner
        torch.testing.assert_close(mapped.flatten(1).T, plain, rtol=1e-4, atol=1e-5)


def test_alpha_is_no_less_than_zero_and_can_return():
    attention, x = ChannelAttention(), torch.randn(1, 6, 4, 5)
    attention.share.data.fill_(-0.3)
    assert torch.equal(attention(x), x)
    (attention(x) - 2 * x).square().sum().backward()  # more would be better
    assert attention.share.grad < 0
    old = ChannelAttention("cosine")
    old.share.data.fill_(-0.3)
    assert not torch.equal(old(x), x)


def test_the_small_one_keeps_the_attention_its_weights_were_trained_with():
    assert CONFIGURATIONS["gam-small"].likeness == "cosine"
    assert {CONFIGURATIONS[name].likeness for name in ("gam", "gam-lite")} == {"product"}


def test_mask_embedding_knows_where_things_are():
    embedding = MaskEmbedding(16)
    left, right = torch.zeros(1, EARLIER, 16, 16), torch.zeros(1, EARLIER, 16, 16)
    left[..., :4], right[..., -4:] = 1, 1
    # Without coordinates, a mirrored mask would have mirrored features.
    assert not torch.allclose(embedding(left).mean((2, 3)), embedding(right).mean((2, 3)))
    assert embedding(left).shape == (1, 16, 4, 4)


@pytest.mark.parametrize(
    ("missing", "less"), [("channel_attention", "channels.share"), ("mask_embedding", "embedding.")]
)
def test_modules_can_be_left_out(missing, less):
    from dataclasses import replace

    network = make(replace(TINY, **{missing: False}))
    assert not [name for name, _ in network.named_parameters() if name.startswith(less)]
    with torch.no_grad():
        features = network.encode(images(1))
        summary = network.remember(features, masks(1))
        assert network.recall(features, Memory(summary, 1), earlier(1)).shape == (1, 1, 16, 24)


def test_a_run_carried_in_one_call_is_the_run_carried_step_by_step():
    network = make()
    with torch.no_grad():
        frames, given = images(4), masks(1)
        together = network(frames, given)
        features = network.encode(frames)
        memory = network.begin([network.remember(features[:1], given)])
        before = F.avg_pool2d(given, 4).expand(-1, EARLIER, -1, -1)
        first = network.recall(features[1:2], memory, before)
    assert together.shape == (3, 1, *SIZE)
    enlarged = F.interpolate(first, scale_factor=4.0, mode="bilinear")
    torch.testing.assert_close(together[:1], enlarged, rtol=1e-4, atol=1e-4)


def runs(length: int = 4) -> MadeBatches:
    """The first frame of each run has a mask."""

    class Runs(MadeBatches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            batch.given[:] = 0
            batch.given[:, 0] = 1
            batch.guides[:, 0] = batch.reference_masks[:, 0]
            return batch

    return Runs(references=length - 1)


def test_a_loss_moves_every_parameter_through_the_whole_run():
    learner = GAMLearner(make().train(), RECIPES[0])
    learner.network.channels.share.data.fill_(0.1)
    batch = runs()[0]
    losses = learner.losses(batch, 1.0)
    losses.total.backward()
    still = [n for n, p in learner.network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still
    moved = {id(p) for g in learner.groups()["video"] for p in g["params"]}
    assert moved == {id(p) for p in learner.network.parameters()}
    assert torch.allclose(losses.total, losses.terms["final"] + losses.terms["jaccard"])


def test_the_mean_of_the_losses_is_that_of_every_frame_but_the_first():
    """Against a plain walk over one run of a batch."""
    from model.learning.losses import jaccard_loss
    from model.nn.pictures import to_input

    learner = GAMLearner(make(), RECIPES[0])
    network, batch = learner.network, runs()[1]
    with torch.no_grad():
        found = learner.losses(batch, 1.0).terms["jaccard"]
        plain = []
        for run in range(len(batch)):
            frames = torch.cat([batch.reference_images[run], batch.images[run][None]])
            truth = torch.cat([batch.reference_masks[run], batch.masks[run][None]])
            given = batch.guides[run, :1].float()
            known = [network.remember(network.encode(to_input(frames[:1])), given)]
            before = [F.avg_pool2d(given, 4)] * EARLIER
            for number in range(1, 4):
                features = network.encode(to_input(frames[number : number + 1]))
                memory = Memory(torch.stack(known).sum(0), len(known))
                logits = network.recall(features, memory, torch.cat(before[:EARLIER], dim=1))
                full = F.interpolate(logits, scale_factor=4.0, mode="bilinear")
                plain.append(jaccard_loss(full, truth[number : number + 1]))
                known.append(network.remember(features, full.sigmoid()))
                before.insert(0, logits.sigmoid())
    torch.testing.assert_close(found, torch.stack(plain).mean(), rtol=0.02, atol=0.01)
