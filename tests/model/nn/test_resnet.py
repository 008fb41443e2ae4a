"""The ResNet bodies: torchvision's names, sizes and strides, and weights that are refused."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from labeler.errors import LabelerError
from model.nn import resnet
from model.nn.resnet import Bottleneck, ResNet, load_imagenet_weights

Publish = Callable[[Any], Path]


@pytest.mark.parametrize(
    ("name", "with_classifier", "classifier"),
    [("resnet18", 11_689_512, 512 * 1000 + 1000), ("resnet50", 25_557_032, 2048 * 1000 + 1000)],
)
def test_is_as_large_as_torchvisions(name: str, with_classifier: int, classifier: int) -> None:
    with torch.device("meta"):
        body = ResNet(name)
    assert sum(p.numel() for p in body.parameters()) == with_classifier - classifier


def test_has_torchvisions_names() -> None:
    with torch.device("meta"):
        small, large = ResNet("resnet18").state_dict(), ResNet("resnet50").state_dict()
    # 62 and 161 parameters are torchvision's, less fc.weight and fc.bias; the rest are statistics.
    assert (len(small), len(large)) == (120, 318)
    assert {key.split(".")[0] for key in large} == {"conv1", "bn1"} | {
        f"layer{i}" for i in (1, 2, 3, 4)
    }
    assert "layer1.0.downsample.0.weight" in large
    assert "layer1.0.downsample.0.weight" not in small
    assert small["layer2.0.downsample.1.running_mean"].shape == (128,)
    assert large["layer1.0.conv1.weight"].shape == (64, 64, 1, 1)
    assert large["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert small["layer4.1.conv2.weight"].shape == (512, 512, 3, 3)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_levels_halve(name: str) -> None:
    body = ResNet(name).eval()
    with torch.inference_mode():
        levels = body(torch.rand(1, 3, 64, 96))
    shapes = [(1, c, 64 // s, 96 // s) for c, s in zip(body.channels, (4, 8, 16, 32), strict=True)]
    assert [tuple(level.shape) for level in levels] == shapes


def test_the_stride_is_in_the_3x3() -> None:
    block = Bottleneck(256, 128, stride=2)
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)


def test_a_silent_branch_leaves_the_shortcut() -> None:
    block = Bottleneck(256, 64, stride=1).eval()
    nn.init.zeros_(block.bn3.weight)
    x = torch.randn(1, 256, 4, 4)
    torch.testing.assert_close(block(x), x.relu())


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="resnet18, resnet50"):
        ResNet("resnet34")


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Put something where resnet18's weights are said to be, its hash in its name."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))

    def put(content: Any, digest: str | None = None) -> Path:
        draft = tmp_path / "draft.pth"
        if isinstance(content, bytes):
            draft.write_bytes(content)
        else:
            torch.save(content, draft)
        digest = digest or hashlib.sha256(draft.read_bytes()).hexdigest()[:8]
        path = draft.rename(tmp_path / f"resnet18-{digest}.pth")
        monkeypatch.setitem(resnet.IMAGENET_URLS, "resnet18", path.as_uri())
        return path

    return put


def published_weights() -> dict[str, Tensor]:
    """Weights of resnet18 with a classifier, as torchvision publishes them."""
    torch.manual_seed(1)
    state = dict(ResNet("resnet18").state_dict())
    return state | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_imagenet_weights_fill_the_body_and_drop_the_classifier(publish: Publish) -> None:
    weights = published_weights()
    publish(weights)
    body = ResNet("resnet18")
    assert not torch.equal(body.layer4[1].conv2.weight, weights["layer4.1.conv2.weight"])
    load_imagenet_weights(body)
    for key, value in body.state_dict().items():
        torch.testing.assert_close(value, weights[key], rtol=0, atol=0)


def test_files_from_before_the_batch_counter_still_fit(publish: Publish) -> None:
    weights = published_weights()
    publish({k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")})
    body = ResNet("resnet18")
    load_imagenet_weights(body)
    torch.testing.assert_close(body.conv1.weight.detach(), weights["conv1.weight"])


def test_a_file_that_is_not_what_its_name_says_is_refused(publish: Publish) -> None:
    publish(published_weights(), digest="0123abcd")
    with pytest.raises(LabelerError, match=r"arrived damaged .*invalid hash"):
        load_imagenet_weights(ResNet("resnet18"))


def test_without_a_network_it_says_where_to_put_the_file(publish: Publish) -> None:
    path = publish(b"")
    path.unlink()
    with pytest.raises(LabelerError, match=r"cannot be fetched .*checkpoints/resnet18-.*\.pth"):
        load_imagenet_weights(ResNet("resnet18"))


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04 cut short"])
def test_damage_is_one_sentence(publish: Publish, content: bytes) -> None:
    publish(content)
    with pytest.raises(LabelerError, match="arrived damaged") as caught:
        load_imagenet_weights(ResNet("resnet18"))
    assert "\n" not in str(caught.value)


class Payload:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


def test_nothing_in_the_file_is_executed(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish({"conv1.weight": Payload()})
    with pytest.raises(LabelerError, match="arrived damaged"):
        load_imagenet_weights(ResNet("resnet18"))
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, r"conv1.weight is \[64, 3, 3, 3\]"),
        ({"conv1.bias": torch.zeros(64)}, r"conv1.bias is \[64\] and should be absent"),
        ({"bn1.weight": None}, r"bn1.weight is absent and should be \[64\]"),
        ({"layer3.1.bn1.weight": 7}, r"layer3.1.bn1.weight is absent"),
    ],
)
def test_foreign_weights_are_refused_and_change_nothing(
    publish: Publish, change: dict[str, Any], complaint: str
) -> None:
    changed = published_weights() | change
    publish({key: value for key, value in changed.items() if value is not None})
    body = ResNet("resnet18")
    before = body.conv1.weight.detach().clone()
    with pytest.raises(LabelerError, match=complaint):
        load_imagenet_weights(body)
    assert torch.equal(body.conv1.weight, before)


def test_a_file_of_something_else_is_refused(publish: Publish) -> None:
    publish([torch.zeros(2)])
    with pytest.raises(LabelerError, match="holds no weights"):
        load_imagenet_weights(ResNet("resnet18"))
