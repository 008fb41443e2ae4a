"""The client of Label Studio, without one."""

import pytest

from backend.studio.client import Studio
from labeler.errors import LabelerError


@pytest.mark.parametrize("key", ["0123abcd\n", " 0123abcd", "0123\r\nabcd", "0123äbcd", "0123\x00"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(LabelerError) as raised:
        Studio("http://127.0.0.1:1", key)
    assert "0123" not in str(raised.value)
    assert "copy it again" in str(raised.value)


def test_a_key_may_still_be_missing() -> None:
    Studio("http://127.0.0.1:1", "").close()
    Studio("http://127.0.0.1:1", "0123abcd").close()
