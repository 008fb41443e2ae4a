"""What was worked out last is kept, so that it is not worked out again soon."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class LastUsed(Generic[T]):
    """Things by key, as many as there is room for: what was not asked for longest is dropped.

    Args:
        limit: how much there is room for.
        size: how much of it a thing takes, in bytes say; without one each takes 1.
    """

    def __init__(self, limit: int, size: Callable[[T], int] = lambda _: 1) -> None:
        self._limit, self._size_of = limit, size
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self.size = 0
        """How much of the room is taken."""

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._things

    def get(self, key: Hashable) -> T | None:
        """The thing with a key, or None."""
        if key not in self._things:
            return None
        self._things.move_to_end(key)
        return self._things[key]

    def put(self, key: Hashable, thing: T) -> T:
        """Keep a thing, in place of what had its key, and return it."""
        if key in self._things:
            self.size -= self._size_of(self._things.pop(key))
        self._things[key] = thing
        self.size += self._size_of(thing)
        while self.size > self._limit:
            _, oldest = self._things.popitem(last=False)
            self.size -= self._size_of(oldest)
        return thing

    def or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing with a key, made if it is not there."""
        found = self.get(key)
        return self.put(key, make()) if found is None else found
