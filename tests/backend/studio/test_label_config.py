"""The page on which annotators work."""

from pathlib import Path

import pytest

from backend.studio.label_config import BLIND_CONFIG, CHECK_CONFIG, KEYS, LABEL_CONFIG

DOCUMENT = Path(__file__).parents[3] / "docs" / "annotating.md"


def test_the_docs_name_the_keys_of_the_page():
    document = DOCUMENT.read_text()
    for what, (linux, mac) in KEYS.items():
        assert f"| `{linux}` | `{mac}` | {what} |" in document


@pytest.mark.parametrize("config", [LABEL_CONFIG, CHECK_CONFIG, BLIND_CONFIG])
def test_the_page_has_every_key(config):
    for what, (linux, _) in KEYS.items():
        assert linux in config
        assert what in config
    assert "updates." not in config
