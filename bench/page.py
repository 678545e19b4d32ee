"""From a container's end in the engine to the open page in Chromium that shows it, without a reload."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import quantiles
from typing import Any

from playwright.sync_api import Page, sync_playwright

from lab import requirements
from lab.engine import Engine
from lab.lab import Lab
from nodeagent import protocol

ROUNDS = 20
COMPOSE = f"services:\n  web:\n    image: berth/demo\n    deploy: {{replicas: {ROUNDS}}}\n"
"""A slot for each round: a slot that failed before would wait before its next container starts."""


def measure(lab: Lab) -> Iterator[dict[str, Any]]:
    if requirements.chromium():
        return
    link = lab.new_sign_in_link()
    lab.api.post("/apps", {"name": "watched", "compose": COMPOSE})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=requirements.chromium_path(), headless=True)
        page = browser.new_page()
        page.goto(link)
        page.get_by_role("button", name="Continue").click()
        page.goto(f"{lab.console.url}/t/default/apps/watched/")
        page.get_by_text(f"{ROUNDS} of {ROUNDS} well").first.wait_for(timeout=120_000)
        delays = [_round(page, lab.hosts[0].engine, f"web.{number}") for number in range(1, ROUNDS + 1)]
        browser.close()
    lab.remove_apps()
    cuts = quantiles(delays, n=20)
    yield {
        "case": "container's end in the engine to the open page",
        "rounds": ROUNDS,
        "p50_ms": round(cuts[9] * 1000),
        "p95_ms": round(cuts[18] * 1000),
    }


def _round(page: Page, engine: Engine, slot: str) -> float:
    """Wall-clock seconds from the request to kill it until its row says that it does not run."""
    row = page.locator("#services .slot", has=page.get_by_text(slot, exact=True))
    running = row.get_by_text("Running", exact=True)
    running.wait_for(timeout=60_000)
    time.sleep(1.0)
    with engine.client() as client:
        [container] = client.containers.list(filters={"label": f"{protocol.LABEL_NAME}=watched/{slot}"})
        begun = time.time()
        container.kill()
    running.wait_for(state="hidden", timeout=30_000)
    return time.time() - begun
