"""A real Chromium for tests: its pages collect what goes wrong, so that a test can insist on nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ARGUMENTS = [
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
SHOTS = os.environ.get("BERTH_SCREENSHOTS") == "1"
_EXPECTED = re.compile(r"status of (422|404)|Status Error Code (422|404)")
"""Answers that a test asks for on purpose, which Chromium reports as errors of the page."""


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page with the errors of its console (violations of the policy are among them) and of its scripts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _EXPECTED.search(message.text):
            self.errors.append(f"{self.page.url}: {message.text}")


def screenshot(page: Page, name: str) -> None:
    """For the README; only when asked for."""
    if SHOTS:
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=IMAGES / f"{name}.png")
