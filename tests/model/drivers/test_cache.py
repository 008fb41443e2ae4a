from model.drivers.cache import LastUsed


def test_what_was_not_asked_for_longest_is_dropped():
    kept: LastUsed[int] = LastUsed(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert "b" not in kept
    assert kept.get("b") is None
    assert (kept.get("a"), kept.get("c"), len(kept)) == (1, 3, 2)


def test_a_thing_is_made_once_until_it_is_dropped():
    kept: LastUsed[str] = LastUsed(1)
    made: list[str] = []
    for key in "aabba":
        assert kept.or_make(key, lambda key=key: made.append(key) or key) == key
    assert made == ["a", "b", "a"]


def test_room_is_counted_in_what_things_take():
    kept: LastUsed[bytes] = LastUsed(10, len)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    kept.put("a", b"123456")  # in place of the first
    assert (kept.size, "b" in kept) == (10, True)
    kept.put("c", b"1")
    assert (kept.size, "b" in kept) == (7, False)
    kept.put("d", b"more than there is room for")
    assert (kept.size, len(kept)) == (0, 0)
