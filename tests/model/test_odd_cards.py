"""Cards from elsewhere: every name and number is checked before it is used."""

import json
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler.errors import LabelerError
from model.card import CARD_FILE, ModelCard, read_card
from model.registry import ModelRegistry
from model.weights import save_model
from tests.workspaces import file_bytes


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "weights"
    card = ModelCard("pdnet", "pdnet-small", ["made"], "none")
    save_model(folder, {"w": torch.tensor([1.0])}, card, "1.0.0")
    return folder


def change(folder, **changes):
    path = folder / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_version": "../../evil"},
        {"model_version": "/tmp/evil"},
        {"model_version": "a/b"},
        {"model_version": ""},
        {"model_version": ".."},
        {"model_version": "a\n"},
        {"model_version": "x" * 5000},
        {"model_version": 7},
        {"parent": "../x"},
        {"parts": ["../x"]},
        {"parts": "abc"},
        {"input_size": 10**9},
        {"input_size": 0},
        {"input_size": "x"},
        {"input_size": True},
        {"input_size": None},
        {"training_data": [1]},
        {"options": []},
        {"options": {"size": 10**400}},
        {"scores": {"J": float("nan")}},
        {"engine": ["pdnet"]},
        {"unknown": 1},
    ],
)
def test_a_card_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, weights, changes):
    change(weights, **changes)
    before = file_bytes(tmp_path)
    with pytest.raises(LabelerError) as refused:
        ModelRegistry(tmp_path / "models").keep(weights)
    assert str(weights / CARD_FILE) in str(refused.value)
    assert len(str(refused.value)) < 600
    assert file_bytes(tmp_path) == before
    assert not (tmp_path / "models").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(asdict(ModelCard("", "", [], "")))


@settings(max_examples=150)
@given(st.one_of(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES)))
def test_whatever_a_card_says_it_is_read_or_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("card")
    (folder / CARD_FILE).write_text(json.dumps(content))
    try:
        card = read_card(folder)
    except LabelerError:
        return
    assert isinstance(card.input_size, int)


def test_a_large_card_is_not_read(weights):
    change(weights, licence="x" * (2 << 20))
    with pytest.raises(LabelerError, match="more than"):
        read_card(weights)


def test_one_damaged_card_hides_no_other(tmp_path, weights):
    registry = ModelRegistry(tmp_path / "models")
    kept = registry.keep(weights)
    other = registry.folder / "other"
    other.mkdir()
    (other / CARD_FILE).write_text("{")
    assert [card.model_version for card in registry.cards()] == [kept.model_version]
    assert registry.promote(kept.model_version, "first") == kept.model_version
    [fault] = registry.faults()
    assert str(other / CARD_FILE) in fault
