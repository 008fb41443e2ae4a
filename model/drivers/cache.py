"""A cache that keeps the values that were used last."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class LastUsed(Generic[T]):
    """A cache by key: when it is full, it drops the values that were not used for longest.

    Args:
        limit: the largest size of all values together.
        size: returns the size of one value, such as its bytes; if not given, each counts 1.
    """

    def __init__(self, limit: int, size: Callable[[T], int] = lambda _: 1) -> None:
        self._limit, self._size_of = limit, size
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self.size = 0
        """The size of all values that are in the cache."""

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._things

    def get(self, key: Hashable) -> T | None:
        """Return the value of a key, or None."""
        if key not in self._things:
            return None
        self._things.move_to_end(key)
        return self._things[key]

    def put(self, key: Hashable, thing: T) -> T:
        """Put a value into the cache, in place of the key's earlier value, and return it."""
        if key in self._things:
            self.size -= self._size_of(self._things.pop(key))
        self._things[key] = thing
        self.size += self._size_of(thing)
        while self.size > self._limit:
            _, oldest = self._things.popitem(last=False)
            self.size -= self._size_of(oldest)
        return thing

    def or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key; if it is not in the cache, make it and put it there."""
        found = self.get(key)
        return self.put(key, make()) if found is None else found
