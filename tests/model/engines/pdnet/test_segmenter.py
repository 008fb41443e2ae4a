import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labeler.clip import Image
from labeler.errors import LabelerError
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook
from model.card import ModelCard
from model.drivers.matcher import Matcher, ReferenceFeatures
from model.drivers.options import MatcherOptions
from model.engine import NoOptions, Use, baselines, trainable_engines
from model.engines.baselines.baselines import NearestCopy
from model.engines.pdnet.features import unguided
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import PDNetConfig
from model.loading import load_segmenter
from model.nn.fold import fold_norms
from model.nn.pictures import to_input
from model.segmenter import Segmentation, uncertainty_of, verbatim
from tests.model.networks import assert_same, trained

TINY = PDNetConfig("resnet18", 16, compressed=8, parts=3)


class MadeFrames:
    """Noise of an odd size, different for each frame."""

    key = "made"

    def __init__(self, count: int = 20, size: tuple[int, int] = (75, 131)) -> None:
        self.count, self.size = count, size
        self.key_frames = range(0, count, 5)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Image:
        return np.random.default_rng(index).integers(0, 256, (*self.size, 3), np.uint8)


class CountingPDNet(PDNet):
    """Counts the frames that are encoded."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        super().__init__(TINY)
        for name, parameter in self.named_parameters():
            if name.endswith(("label.weight", "hint.weight", "override", "trust", "nearness")):
                torch.nn.init.constant_(parameter, 0.3)  # else guidance does nothing yet
        self.encoded = 0
        self.shapes: set[tuple[int, ...]] = set()

    def encode(self, images, auxiliary=False):
        self.shapes.add(tuple(images.shape[1:]))
        self.encoded += len(images)
        return super().encode(images, auxiliary)


def disk(row: int, size: tuple[int, int] = (75, 131)) -> Mask:
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - row) ** 2 + (columns - 60) ** 2 < 400


def book(**masks: Mask) -> ReferenceBook:
    return ReferenceBook(
        Reference(int(name[1:]), hashlib.sha256(mask).hexdigest(), lambda mask=mask: mask)
        for name, mask in masks.items()
    )


def matcher(network, *, input_size=480, batch_size=8, cache_bytes=1 << 30, **options) -> Matcher:
    use = Use("tiny", torch.device("cpu"), input_size, MatcherOptions(**options), batch_size)
    return Matcher(network, use, cache_bytes=cache_bytes)


def pdnet(**options) -> tuple[CountingPDNet, Matcher]:
    network = CountingPDNet()
    return network, matcher(network, **({"input_size": 96} | options))  # small, to be quick


def probabilities(segmenter, targets, references, frames=None) -> np.ndarray:
    found = list(segmenter.segment(frames or MadeFrames(), targets, references))
    assert [each.frame for each in found] == list(targets)
    return np.stack([each.probability for each in found])


@pytest.mark.parametrize("engine", ["pdnet", "copy", "distance", "flow"])
def test_every_engine_keeps_the_protocol(engine):
    segmenter = pdnet()[1] if engine == "pdnet" else load_segmenter(engine)[0]
    references = book(f5=disk(30), f10=disk(40))
    found = list(segmenter.segment(MadeFrames(), [15, 5, 0, 10], references))
    assert [each.frame for each in found] == [15, 5, 0, 10]
    for each in found:
        assert each.probability.shape == each.mask.shape == (75, 131)
        assert each.probability.dtype == np.float32
        assert 0 <= each.probability.min() <= each.probability.max() <= 1
        assert 0 <= each.uncertainty <= 1
    assert np.array_equal(found[1].mask, disk(30))  # a person's mask is returned verbatim
    assert np.array_equal(found[3].mask, disk(40))
    assert found[1].uncertainty == found[3].uncertainty == 0
    assert "+" in segmenter.model_version or segmenter.model_version == "tiny"


def test_the_table_names_the_engines():
    assert {"pdnet", "gam"} <= set(trainable_engines())
    assert isinstance(load_segmenter("copy")[0], NearestCopy)
    for name in baselines():
        segmenter, card = load_segmenter(name)
        assert card.model_version == segmenter.model_version


def test_each_frame_is_encoded_once():
    network, segmenter = pdnet(batch_size=3)
    targets = [5, 10, 15]
    probabilities(segmenter, targets, ReferenceBook())
    assert network.encoded == 4  # the targets, and frame 0 as their reference
    probabilities(segmenter, [0, *targets], ReferenceBook())
    assert network.encoded == 4
    probabilities(segmenter, [0, 5, 15], book(f10=disk(30)))  # a correction costs no encoding
    assert network.encoded == 4


def test_frames_are_squashed_to_the_papers_size():
    network = CountingPDNet()
    segmenter = matcher(network)
    probabilities(segmenter, [5], ReferenceBook())
    assert ModelCard("made", "made", [], "").input_size == 480
    assert network.shapes == {(3, 480, 480)}


def test_references_are_encoded_once_a_run_even_if_nothing_is_kept():
    network, segmenter = pdnet(batch_size=1, cache_bytes=0)
    probabilities(segmenter, [5, 10, 15], ReferenceBook())
    assert network.encoded == 4
    network.encoded = 0
    probabilities(segmenter, [1, 2, 3, 6, 7, 8], book(f5=disk(30), f15=disk(50)))
    assert network.encoded == 6 + 2 + 3  # frames 0 and 5, then 0, 5 and 15


def test_clips_are_not_taken_for_each_other():
    network, segmenter = pdnet()
    other = MadeFrames()
    other.key = "other"
    probabilities(segmenter, [5], ReferenceBook())
    probabilities(segmenter, [5], ReferenceBook(), other)
    assert network.encoded == 4


def test_the_cache_stays_within_its_bytes():
    _, segmenter = pdnet(cache_bytes=100_000)
    probabilities(segmenter, range(20), ReferenceBook())
    assert 0 < segmenter.encoder.kept_bytes <= 100_000


@pytest.mark.parametrize("close_up_size", [0, 64])
@pytest.mark.parametrize("references", [ReferenceBook(), book(f5=disk(30), f15=disk(50))])
def test_the_batch_size_changes_nothing(references, close_up_size):
    targets = [0, 1, 7, 8, 9, 11, 18]
    one, *others = (
        probabilities(
            pdnet(batch_size=batch_size, close_up_size=close_up_size)[1], targets, references
        )
        for batch_size in (1, 3, 8)
    )
    for more in others:
        assert np.abs(one - more).max() < 1e-4
    assert one.std() > 1e-3


def test_a_given_mask_changes_its_neighbours():
    segmenter = pdnet()[1]
    plain = probabilities(segmenter, [8], ReferenceBook())
    guided = probabilities(segmenter, [8], book(f5=disk(30)))
    other = probabilities(segmenter, [8], book(f5=disk(50)))
    assert np.abs(plain - guided).max() > 1e-4
    assert np.abs(other - guided).max() > 1e-4


def test_probability_comes_back_at_native_size_before_it_is_cut():
    frames = MadeFrames(size=(300, 97))
    (only,) = pdnet()[1].segment(frames, [5], ReferenceBook())
    assert only.probability.shape == (300, 97)
    assert len(np.unique(only.probability)) > 1000
    assert np.array_equal(only.mask, only.probability >= 0.5)


def test_copy_takes_the_nearest_corrected_mask():
    found = probabilities(NearestCopy(), [2, 8, 9, 19], book(f5=disk(30), f12=disk(50)))
    assert np.array_equal(found[0], disk(30))
    assert np.array_equal(found[1], disk(30))
    assert np.array_equal(found[2], disk(50))
    assert np.array_equal(found[3], disk(50))
    (empty,) = NearestCopy().segment(MadeFrames(), [4], ReferenceBook())
    assert not empty.mask.any()
    assert empty.uncertainty == 1


@given(
    probability=arrays(np.float32, (6, 7), elements=st.floats(0, 1, width=32)),
)
def test_uncertainty_is_a_share(probability):
    assert 0 <= uncertainty_of(probability) <= 1


def test_uncertainty_grows_with_doubt():
    sure = np.zeros((100, 100), np.float32)
    assert uncertainty_of(sure) == 0
    sure[20:60, 20:60] = 1
    assert uncertainty_of(sure) == 0
    soft = np.where(sure > 0, np.float32(0.8), np.float32(0.02))
    softer = np.where(sure > 0, np.float32(0.6), np.float32(0.2))
    assert 0 < uncertainty_of(soft) < uncertainty_of(softer) < 1
    expected = 1 - (1600 * 0.8 + 10) / (1600 + 8400 * 0.02 + 10)
    assert uncertainty_of(soft) == pytest.approx(expected, abs=1e-5)


def test_verbatim_is_certain_and_exact():
    segmentation = verbatim(3, disk(30))
    assert isinstance(segmentation, Segmentation)
    assert np.array_equal(segmentation.mask, disk(30))
    assert segmentation.uncertainty == 0


def test_folding_changes_only_the_speed():
    network = trained(TINY)  # whose statistics fit its weights
    images = to_input(torch.randint(0, 256, (2, 96, 64, 3), dtype=torch.uint8))
    with torch.no_grad():
        before = network.encode(images)
        expected = network.decode(before, unguided(before, sets=2))
        fold_norms(network)
        after = network.encode(images)
        found = network.decode(after, unguided(after, sets=2))
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert_same(found, expected, rtol=1e-3, atol=1e-3)


class Bright:
    """A dark clip with somebody bright, who moves; a stray light is far away."""

    key, key_frames = "bright", range(0, 20, 5)

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Image:
        image = np.full((240, 400, 3), 20, np.uint8)
        image[80:160, 100 + 5 * index : 150 + 5 * index] = 240
        image[5:15, 385:395] = 240
        return image


class Lamp(PDNet):
    """Takes for a person what is bright, and notes what it was shown."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        super().__init__(TINY)
        self.shown: list[np.ndarray] = []
        self.asked: list[ReferenceFeatures] = []

    def encode(self, images, auxiliary=False):
        self.shown.extend(images[:, 0].numpy().copy())
        found = super().encode(images, auxiliary)
        bright = torch.nn.functional.interpolate(images[:, :1], scale_factor=0.25, mode="area")
        return replace(found, appearance=bright.expand(-1, TINY.width, -1, -1))

    def decode(self, targets, references):
        self.asked.append(references)
        bright = 6 * torch.nn.functional.interpolate(targets.appearance[:, :1], scale_factor=4)
        return replace(super().decode(targets, references), logits=bright)


def test_the_second_look_is_at_whoever_the_first_one_found():
    network = Lamp()
    segmenter = matcher(network, input_size=160, close_up_size=96)
    human = np.asarray(Bright()[10][..., 0] > 200)
    human[5:15, 385:395] = False
    references = ReferenceBook([Reference(10, "digest", lambda: human)])
    found, corrected = segmenter.segment(Bright(), [5, 10], references)
    assert np.array_equal(corrected.mask, human)
    truth = np.asarray(Bright()[5][..., 0] > 200)
    truth[5:15, 385:395] = False
    assert np.logical_xor(found.mask, truth).sum() < 0.2 * truth.sum()
    assert not found.mask[:40].any()  # the stray light is not in the close-up

    whole = [shown for shown in network.shown if shown.shape == (160, 160)]
    close = [shown for shown in network.shown if shown.shape == (96, 96)]
    assert len(whole) == len(close) == 3  # frames 5, 0 and 10, each from far and near
    assert all((shown > 0).mean() < 0.1 for shown in whole)
    assert all((shown > 0).mean() > 0.3 for shown in close)
    near = network.asked[-1]
    assert near.given.tolist() == [[0, 1]]
    assert near.masks[0, 0].max() == 0
    assert near.masks[0, 1].mean() > 0.3  # the given mask is seen as closely as its frame


def test_without_a_mask_to_go_by_the_picture_is_smaller():
    network, segmenter = pdnet(input_size=128, unguided_size=96)
    probabilities(segmenter, [5], ReferenceBook())
    assert network.shapes == {(3, 96, 96)}
    network.shapes.clear()
    probabilities(segmenter, [5], book(f10=disk(30)))
    assert network.shapes == {(3, 128, 128)}


def test_whoever_is_not_found_at_first_is_not_looked_for():
    network, segmenter = pdnet(close_up_size=64)
    torch.nn.init.zeros_(network.head[-1].weight)
    torch.nn.init.constant_(network.head[-1].bias, -5)
    (found,) = probabilities(segmenter, [5], ReferenceBook())
    assert network.shapes == {(3, 96, 96)}
    assert found.max() < 0.01


@pytest.mark.parametrize(
    ("references", "sentence"),
    [
        (
            {0: disk(30, (40, 60))},
            r"bool of shape \(40, 60\); give bool of shape \(75, 131\)",
        ),
        ({0: disk(30).astype(np.float32)}, "frame 0 is float32"),
        ({7: disk(30)}, "frame 7, but the clip has frames 0 to 2"),
    ],
)
def test_plain_masks_that_fit_no_frame_are_refused(references, sentence):
    frames = [MadeFrames()[index] for index in range(3)]
    with pytest.raises(LabelerError, match=sentence):
        list(pdnet()[1].segment(frames, [0, 1, 2], references))


def test_a_plain_list_of_pictures_is_a_clip():
    frames = [MadeFrames()[index] for index in range(3)]
    found = list(pdnet()[1].segment(frames, [0, 1, 2], {0: disk(30)}))
    np.testing.assert_array_equal(found[0].mask, disk(30))
    whole = probabilities(pdnet()[1], [1, 2], book(f0=disk(30)), MadeFrames(3))
    np.testing.assert_allclose([each.probability for each in found[1:]], whole, atol=1e-5)


def test_options_that_are_not_a_matchers_are_refused():
    use = Use("odd-1.0.0", torch.device("cpu"), 96, NoOptions())
    with pytest.raises(
        LabelerError, match=r"odd-1\.0\.0 cannot be driven by Matcher.*MatcherOptions"
    ):
        Matcher(CountingPDNet(), use)
