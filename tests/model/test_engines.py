import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from labeler.errors import LabelerError
from model.card import CARD_FILE, WEIGHTS_FILE, ModelCard, read_card
from model.engine import bundled_weights
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import CONFIGURATIONS
from model.loading import find_device, load_segmenter
from model.weights import halved, load_model, save_model


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return PDNet(CONFIGURATIONS["pdnet-small"]).state_dict()


@pytest.fixture
def model(tmp_path: Path, tensors) -> Path:
    save(tmp_path / "made", tensors)
    return tmp_path / "made"


def save(folder: Path, tensors, **changes) -> ModelCard:
    card = ModelCard("pdnet", "pdnet-small", ["made"], "Apache-2.0", scores={"J": 0.5})
    return save_model(folder, tensors, replace(card, **changes), "1.2.0")


def refusal(model: Path) -> str:
    with pytest.raises(LabelerError) as caught:
        load_segmenter(str(model), device="cpu")
    return str(caught.value)


def test_weights_come_back_with_their_card(model, tensors):
    card, loaded = load_model(model)
    assert card.model_version == f"pdnet-small-1.2.0+{card.weights_sha256[:8]}"
    assert card.trained
    assert card.scores == {"J": 0.5}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    segmenter, same = load_segmenter(str(model), device="cpu")
    assert same == card
    assert segmenter.model_version == card.model_version


def test_the_version_names_the_weights_and_nothing_else(tmp_path, tensors):
    first = save(tmp_path / "a", tensors)
    again = save(tmp_path / "b", tensors, scores={})
    changed = dict(tensors)
    changed["override"] = changed["override"] + 1
    other = save(tmp_path / "c", changed)
    assert first.model_version == again.model_version != other.model_version


def test_what_half_precision_cannot_hold_stays_whole():
    assert halved(torch.tensor([1.5, -60_000.0])).dtype == torch.float16
    assert halved(torch.tensor([1.5, 70_000.0])).tolist() == [1.5, 70_000.0]
    assert halved(torch.tensor(70_000)).dtype == torch.int64
    for folder in bundled_weights().values():
        if not read_card(folder).parts:
            _, weights = load_model(folder)
            assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_half_precision_weights_load(tmp_path, tensors):
    halves = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    save(tmp_path / "half", halves)
    segmenter, _ = load_segmenter(str(tmp_path / "half"), device="cpu", alone=True)
    parameter = next(segmenter.network.parameters())
    assert parameter.dtype == torch.float32


def test_damaged_weights_are_refused(model):
    data = bytearray((model / WEIGHTS_FILE).read_bytes())
    data[-1] ^= 1
    (model / WEIGHTS_FILE).write_bytes(data)
    assert "is damaged or foreign" in refusal(model)
    (model / WEIGHTS_FILE).write_bytes(data[:1000])
    assert "is damaged or foreign" in refusal(model)
    (model / WEIGHTS_FILE).unlink()
    assert "cannot be read" in refusal(model)


def test_pickles_are_never_loaded(model, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    data = pickle.dumps(Bomb())
    (model / WEIGHTS_FILE).write_bytes(data)
    card = json.loads((model / CARD_FILE).read_text())
    card["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (model / CARD_FILE).write_text(json.dumps(card))
    assert "pickles are never loaded" in refusal(model)
    assert not (tmp_path / "exploded").exists()
    (tmp_path / "weights.pt").write_bytes(data)
    assert "weights.pt" in refusal(tmp_path / "weights.pt")
    assert not (tmp_path / "exploded").exists()


def test_weights_of_another_network_are_refused(tmp_path, tensors):
    save(tmp_path / "other", tensors, configuration="pdnet")
    assert "do not fit the network 'pdnet'" in refusal(tmp_path / "other")
    save(tmp_path / "new", tensors, configuration="pdnet-giant")
    assert "pdnet-giant" in refusal(tmp_path / "new")
    save(tmp_path / "engine", tensors, engine="oracle")
    assert "engine 'oracle'" in refusal(tmp_path / "engine")
    name = next(iter(tensors))
    save(tmp_path / "less", {n: t for n, t in tensors.items() if n != name})
    assert f"{name} is missing" in refusal(tmp_path / "less")
    save(tmp_path / "more", tensors | {"extra": torch.zeros(1)})
    assert "extra is not part of it" in refusal(tmp_path / "more")
    save(tmp_path / "shape", tensors | {name: torch.zeros(1)})
    assert f"{name} is [1] and should be" in refusal(tmp_path / "shape")


def test_a_card_that_is_none_is_refused(model):
    (model / CARD_FILE).write_text("{}")
    assert "is not a model card" in refusal(model)
    (model / CARD_FILE).write_text("not json")
    assert "is not a model card" in refusal(model)


def test_an_unknown_model_is_refused_with_those_there_are(model):
    with pytest.raises(LabelerError, match=r"no model 'nowhere'.*copy.*made.*pdnet"):
        load_segmenter("nowhere", models=model.parent)
    assert load_segmenter("made", device="cpu", models=model.parent)[1].trained


def test_without_weights_the_network_is_untrained_and_always_the_same():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    (first, card), (second, _) = (load_segmenter("pdnet", device="cpu") for _ in range(2))
    assert not card.trained
    assert card.model_version.startswith("pdnet-0.0.0+")
    assert first.model_version == second.model_version
    assert torch.equal(torch.rand(3), expected)  # nobody else's random numbers were taken


@pytest.mark.parametrize("device", ["cuda:77", "no such thing"])
def test_a_device_that_is_not_here_is_refused(device):
    with pytest.raises(LabelerError, match="cannot be used here"):
        find_device(device)


def test_auto_finds_a_device():
    assert find_device("auto").type in {"cpu", "cuda"}
