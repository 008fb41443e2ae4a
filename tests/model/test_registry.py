"""One champion at a time, and a way back."""

import threading

import pytest
import torch

from labeler.errors import LabelerError
from labeler.files import write_atomically
from model import registry as registry_module
from model.card import CARD_FILE, WEIGHTS_FILE, ModelCard
from model.registry import CHAMPION_FILE, ModelRegistry
from model.weights import load_model, save_model


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(tmp_path / "models")


@pytest.fixture
def weights(tmp_path):
    def made(version):
        folder = tmp_path / version
        save_model(
            folder,
            {"w": torch.tensor([float(version[0])])},
            ModelCard("pdnet", "pdnet-small", ["made"], "none"),
            version,
        )
        (folder / "checkpoint.safetensors").write_bytes(b"large")
        return folder

    return made


def test_there_is_none_until_one_is_promoted(registry):
    assert registry.champion is None
    assert registry.cards() == []
    assert not registry.can_roll_back
    with pytest.raises(LabelerError, match=r"There is no model '1.0' .* none yet"):
        registry.promote("1.0", "why not")
    with pytest.raises(LabelerError, match="no champion before"):
        registry.rollback()


def test_promoting_and_going_back(registry, weights):
    one, two, three = (registry.keep(weights(f"{n}.0.0")).model_version for n in (1, 2, 3))
    for version in (one, two, three):
        assert registry.promote(version, f"{version} is better") == version
        assert registry.champion == version
    assert registry.promote(three, "again") == three  # says nothing new
    assert registry.can_roll_back
    assert [registry.rollback(), registry.rollback()] == [two, one]
    assert not registry.can_roll_back
    assert registry.promote("pdnet-small-3", "the beginning is enough") == three
    assert registry.rollback() == one  # and not what was rolled back before
    assert [step.champion for step in registry.steps] == [one, two, three, two, one, three, one]
    assert registry.steps[1].reason == f"{two} is better"
    assert [card.model_version for card in registry.cards()] == [one, two, three]


def test_what_is_kept_is_whole_and_never_replaced(registry, weights):
    source = weights("1.0.0")
    card = registry.keep(source)
    folder = registry.path(card.model_version)
    assert {path.name for path in folder.iterdir()} == {CARD_FILE, WEIGHTS_FILE}
    assert load_model(folder)[0] == card
    (source / WEIGHTS_FILE).write_bytes(b"something else")
    assert registry.keep(source) == card
    load_model(folder)


def test_a_crash_while_promoting_leaves_the_champion(registry, weights, monkeypatch):
    one, two = (registry.keep(weights(f"{n}.0.0")).model_version for n in (1, 2))
    registry.promote(one, "first")

    def crash(path, data):
        write_atomically(path.with_name("half"), data[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(registry_module, "write_atomically", crash)
    with pytest.raises(KeyboardInterrupt):
        registry.promote(two, "second")
    assert registry.champion == one


def test_readers_see_one_champion_or_the_other(registry, weights):
    versions = [registry.keep(weights(f"{n}.0.0")).model_version for n in (1, 2)]
    registry.promote(versions[0], "first")
    ended = threading.Event()
    seen = set()

    def read():
        while not ended.is_set():
            seen.add(registry.champion)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        registry.promote(versions[turn % 2], "turn")
    ended.set()
    reader.join()
    assert seen <= set(versions)


def test_several_with_the_same_beginning_are_named(registry, weights):
    for n in (1, 2):
        registry.keep(weights(f"{n}.0.0"))
    with pytest.raises(LabelerError, match=r"several models 'pdnet'.* pdnet-small-1.*small-2"):
        registry.path("pdnet")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"champions": 1, "steps": [1]}'])
def test_a_damaged_pointer_is_refused(registry, weights, content):
    registry.keep(weights("1.0.0"))
    (registry.folder / CHAMPION_FILE).write_text(content)
    with pytest.raises(LabelerError, match="does not say which weights are the champion"):
        registry.champion  # noqa: B018
