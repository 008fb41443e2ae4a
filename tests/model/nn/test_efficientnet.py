"""The EfficientNet-Lite bodies: shapes, padding, folding, layout, weights that are refused."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from labeler.errors import LabelerError
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import CONFIGURATIONS
from model.nn import imagenet
from model.nn.bodies import lay_out, load_imagenet, make_body, taken_over
from model.nn.efficientnet import (
    EfficientNet,
    InvertedBottleneck,
    SameConv2d,
    classify,
    from_published,
)
from model.nn.fold import fold_norms
from model.nn.imagenet import PUBLISHED, convert, kept_at, load_lite_weights, published_tensors


def published(body: EfficientNet, classes: int = 1000) -> dict[str, torch.Tensor]:
    """Tensors of a body under the names they are published by, with a head and a classifier."""
    names = (("blocks.", "_blocks."), ("conv1.", "_expand_conv."), ("conv2.", "_depthwise_conv."))
    names += (("conv3.", "_project_conv."), ("bn1.", "_bn0."), ("bn2.", "_bn1."), ("bn3.", "_bn2."))
    found = {}
    for name, tensor in body.state_dict().items():
        if name.startswith("conv1."):
            name = "_conv_stem.weight"
        for ours, theirs in names:
            name = name.replace(ours, theirs)
        found[name] = tensor
    norm = {f"_bn1.{k}": v for k, v in nn.BatchNorm2d(1280).state_dict().items()}
    classifier = {
        "_conv_head.weight": torch.randn(1280, body.channels[-1], 1, 1),
        "_fc.weight": torch.randn(classes, 1280),
        "_fc.bias": torch.zeros(classes),
    }
    return found | norm | classifier


@pytest.mark.parametrize(
    ("name", "channels", "blocks", "parameters"),
    [
        # With head, norm and classifier (1280 x C5 + 2 x 1280 + 1281 x 1000) 4.65 and 6.09 million.
        ("efficientnet-lite0", (24, 40, 112, 320), 16, 4_652_008),
        ("efficientnet-lite2", (24, 48, 120, 352), 21, 6_092_072),
    ],
)
def test_is_as_large_as_published(name, channels, blocks, parameters):
    body = EfficientNet(name)
    assert body.channels == channels
    assert len(body.blocks) == blocks
    own = sum(p.numel() for p in body.parameters())
    assert own + 1280 * channels[-1] + 2 * 1280 + 1281 * 1000 == parameters


def test_levels_halve_and_stages_can_be_left_out():
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        levels = make_body("efficientnet-lite0").eval()(images)
        fewer = make_body("efficientnet-lite0", stages=3, inputs=4).eval()
        assert [tuple(x.shape[1:]) for x in levels] == [
            (24, 16, 24),
            (40, 8, 12),
            (112, 4, 6),
            (320, 2, 3),
        ]
        assert len(fewer(torch.rand(1, 4, 64, 96))) == len(fewer.channels) == 3


@pytest.mark.parametrize("size", [3, 5])
def test_padding_at_stride_two_is_tensorflows(size):
    """Of n positions the first output sees the first ones, with size - 2 zeros around in all."""
    conv = SameConv2d(1, 1, size, 2)
    nn.init.ones_(conv.weight)
    x = torch.rand(1, 1, 8, 8)
    out = conv(x)
    assert out.shape == (1, 1, 4, 4)
    before = (size - 2) // 2
    seen = x[0, 0, : size - before, : size - before].sum()
    torch.testing.assert_close(out[0, 0, 0, 0], seen)
    assert not torch.allclose(out, F.conv2d(x, conv.weight, stride=2, padding=size // 2))


def test_a_shortcut_is_where_nothing_changes_size():
    assert InvertedBottleneck(24, 24, 3, 1, 6).shortcut
    assert not InvertedBottleneck(24, 24, 3, 2, 6).shortcut
    assert not InvertedBottleneck(24, 40, 3, 1, 6).shortcut


def test_every_norm_folds_away_and_nothing_changes():
    torch.manual_seed(0)
    body = EfficientNet("efficientnet-lite0")
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = body.eval()(images)
        fold_norms(body)
        assert not [m for m in body.modules() if isinstance(m, nn.BatchNorm2d)]
        for one, other in zip(before, body(images), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("last", [True, False])
def test_a_body_says_in_which_layout_it_computes(monkeypatch, last):
    monkeypatch.setattr(EfficientNet, "channels_last", last)
    network = PDNet(CONFIGURATIONS["pdnet-lite"]).eval()
    lay_out(network)
    ways = {True: torch.channels_last, False: torch.contiguous_format}
    weight = network.body.blocks[3].conv3.weight  # 1 x 1 weights are in every layout
    depthwise = network.body.blocks[3].conv2.weight
    assert weight.is_contiguous(memory_format=ways[last])
    assert depthwise.is_contiguous(memory_format=ways[last])
    smooth = network.pyramid.smooth[0].weight
    assert smooth.is_contiguous(memory_format=torch.channels_last)
    assert not smooth.is_contiguous()
    with torch.inference_mode():
        (level, *_) = network.body(torch.rand(2, 3, 64, 64))
    assert level.is_contiguous(memory_format=ways[last])


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="efficientnet-lite0, efficientnet-lite2"):
        make_body("efficientnet-b7")


def test_published_names_become_ours():
    body = EfficientNet("efficientnet-lite0")
    again = from_published(published(body))
    assert again.keys() == body.state_dict().keys()
    assert all(torch.equal(again[name], value) for name, value in body.state_dict().items())


def test_a_classification_is_a_distribution():
    tensors = published(EfficientNet("efficientnet-lite0"), classes=7)
    found = classify(tensors, torch.rand(2, 3, 64, 64))
    assert found.shape == (2, 7)
    torch.testing.assert_close(found.sum(1), torch.ones(2))


def test_a_body_takes_over_what_it_has():
    whole = EfficientNet("efficientnet-lite0")
    part = make_body("efficientnet-lite0", stages=3, inputs=4)
    part.load_state_dict(taken_over(part, whole.state_dict()))
    assert torch.equal(part.conv1.weight[:, :3], whole.conv1.weight)
    assert not part.conv1.weight[:, 3:].any()
    assert torch.equal(part.blocks[10].conv2.weight, whole.blocks[10].conv2.weight)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .pth that is the one known here, and an empty place for what is made of it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    path = tmp_path / "lite0.pth"
    torch.save(published(EfficientNet("efficientnet-lite0")), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = imagenet.Published("made==1", digest, "")
    monkeypatch.setitem(PUBLISHED, "efficientnet-lite0", entry)
    return path


def test_weights_go_from_pickle_to_safetensors_to_a_body(known, monkeypatch):
    tensors = published_tensors("efficientnet-lite0", known)
    digest = convert("efficientnet-lite0", tensors, kept_at("efficientnet-lite0"))
    entry = imagenet.Published("made==1", PUBLISHED["efficientnet-lite0"].sha256, digest)
    monkeypatch.setitem(PUBLISHED, "efficientnet-lite0", entry)
    body = EfficientNet("efficientnet-lite0")
    load_imagenet(body)
    assert torch.equal(body.conv1.weight, tensors["_conv_stem.weight"])
    path = kept_at("efficientnet-lite0")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(LabelerError, match=r"damaged or foreign.*imagenet_body.py"):
        load_lite_weights(body)


def test_weights_that_are_missing_or_foreign_are_refused(known, tmp_path):
    with pytest.raises(LabelerError, match=r"cannot be read.*imagenet_body.py efficientnet-lite0"):
        load_lite_weights(EfficientNet("efficientnet-lite0"))
    other = tmp_path / "other.pth"
    other.write_bytes(known.read_bytes() + b" ")
    with pytest.raises(LabelerError, match="SHA-256"):
        published_tensors("efficientnet-lite0", other)
    with pytest.raises(LabelerError, match="cannot be read"):
        published_tensors("efficientnet-lite0", tmp_path / "absent.whl")
