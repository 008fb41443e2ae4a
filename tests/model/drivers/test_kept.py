import pytest

from model.drivers.cache import Kept


def test_what_was_not_asked_for_longest_is_dropped():
    kept: Kept[int] = Kept(2)
    kept["a"], kept["b"] = 1, 2
    assert kept["a"] == 1
    kept["c"] = 3
    assert "b" not in kept
    assert kept["a"] + kept["c"] == 4
    with pytest.raises(KeyError):
        kept["b"]


def test_a_thing_is_made_once_until_it_is_dropped():
    kept: Kept[None] = Kept(1)
    made: list[str] = []
    for key in "aabba":
        assert kept.or_make(key, lambda key=key: made.append(key)) is None
    assert made == ["a", "b", "a"]
