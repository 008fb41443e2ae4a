"""A real browser: Debian's chromium or the one Playwright brought."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser() -> Iterator[Browser]:
    """Skips, saying why, where there is no browser; never in CI."""
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=QUIET
            )
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no chromium: install it, or run `playwright install chromium` ({error})")
        yield launched
        launched.close()
