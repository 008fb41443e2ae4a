"""JSON that is nearly what it should be."""

import copy
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -1, 1 << 53, 1 << 63])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=6)
    | st.sampled_from(["../walk", "/etc/passwd", "http://localhost/x", "\ud800", "\0", "walk"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutants(draw: st.DrawFn, whole: Any) -> Any:
    """A JSON value of which one to three parts are something else, or missing."""
    found = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(found)))
        if not path:
            found = draw(anything)
            continue
        *above, key = path
        parent = found
        for each in above:
            parent = parent[each]
        if draw(st.booleans()):
            parent[key] = draw(anything)
        else:
            del parent[key]
    return found


def paths(value: Any, above: Path = ()) -> list[Path]:
    """Where the parts of a JSON value are; of a long list, only the first ones."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(min(len(value), 3)))
    return [above, *(path for key in keys for path in paths(value[key], (*above, key)))]
