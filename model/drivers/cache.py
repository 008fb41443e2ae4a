"""What was worked out last is kept, so that it is not worked out again soon."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")


class Kept(OrderedDict[Hashable, T]):
    """A dictionary of at most `limit` things: what was not asked for longest is dropped."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __getitem__(self, key: Hashable) -> T:
        self.move_to_end(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Hashable, thing: T) -> None:
        super().__setitem__(key, thing)
        self.move_to_end(key)
        while len(self) > self._limit:
            self.popitem(last=False)

    def or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing with a key, made if it is not there."""
        if key not in self:
            self[key] = make()
        return self[key]
