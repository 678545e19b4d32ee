"""The dashboard in a real Chromium over the whole of Berth: what a person does on the first day."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.browser import Watched, launched, screenshot
from tests.web.conftest import Stack

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.redis]

FIRST_POINT = 60_000
"""A look is due within 10 s, its step ends within 10 more and is recorded one step later, by a task of every 5 s."""
SOON = 30_000
"""Milliseconds for what an engine has to do."""
AT_ONCE = 3_000
"""Milliseconds in which a change must be on the page without a reload."""
WEB: dict[str, str | list[str] | bool] = {"label": "berth.service=web"}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with launched(chromium) as started:
        yield started


@pytest.fixture(scope="module")
def signed_in(browser: Browser, stack: Stack) -> dict[str, object]:
    """Cookies of the first owner, who came by the one-time link and chose a password."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack.sign_in_link())
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_label("New password").fill("correct horse battery staple")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def watched(browser: Browser, stack: Stack, signed_in: dict[str, object]) -> Iterator[Watched]:
    """A page of the owner. At the test's end it must have had no error."""
    context = browser.new_context(
        base_url=stack.url,
        storage_state=signed_in,  # type: ignore[arg-type]  # what Playwright gave, given back
        viewport={"width": 1440, "height": 900},
        color_scheme="light",
    )
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())
    yield watched
    context.close()
    assert watched.errors == []


@pytest.fixture
def page(watched: Watched, stack: Stack) -> Iterator[Page]:
    yield watched.page
    watched.page.goto("about:blank")
    stack.lab.remove_apps()


def containers(page: Page, state: str) -> Locator:
    return page.locator("#services .slot .status-mark", has_text=re.compile(f"^{state}$"))


def never_reloaded(page: Page) -> bool:
    return bool(page.evaluate("window.stillHere === true"))


def stay(page: Page) -> None:
    """Marks the page as it is loaded now, once its live socket is open."""
    expect(page.locator("html[data-live-socket=open]")).to_be_attached()
    page.evaluate("window.stillHere = true")


def deploy(page: Page, name: str) -> None:
    page.goto("/t/default/apps/new/")
    page.get_by_label("App name").fill(name)
    page.get_by_label("Image").fill("berth/demo")
    page.get_by_label("Container port").fill("80")
    page.get_by_role("button", name="Deploy").click()
    page.wait_for_url(f"**/apps/{name}/")


def write_compose(page: Page, text: str) -> None:
    page.locator(".editor-host .cm-content").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(text)


def test_deploy_watch_scale_release_roll_back_delete(page: Page, stack: Stack) -> None:
    deploy(page, "shop")
    stay(page)
    expect(containers(page, "Running")).to_have_count(1, timeout=SOON)
    expect(page.locator("#head")).to_contain_text("1 of 1 well", timeout=AT_ONCE)
    assert never_reloaded(page)
    with stack.lab.hosts[0].engine.client() as engine:
        assert len(engine.containers.list(filters=WEB)) == 1

    page.get_by_role("link", name="Logs", exact=True).click()
    lines = page.locator(".log-line .text")
    expect(lines.filter(has_text="tick").nth(1)).to_be_visible(timeout=SOON)

    page.get_by_role("link", name="Metrics", exact=True).click()
    expect(page.locator("[data-unit=cpu]")).to_have_attribute(
        "data-points", re.compile("^[1-9]"), timeout=FIRST_POINT
    )
    expect(page.locator("[data-unit=cpu] canvas")).to_be_visible()

    page.goto("/t/default/apps/shop/")
    for _step in range(2):
        page.get_by_role("button", name="One replica more").click()
    expect(containers(page, "Running")).to_have_count(3, timeout=SOON)
    expect(page.locator("#progress")).to_contain_text("Succeeded", timeout=SOON)
    screenshot(page, "dashboard")
    page.evaluate("document.querySelector('[data-set-theme=dark]').click()")
    screenshot(page, "dashboard-dark")
    page.evaluate("document.querySelector('[data-set-theme=system]').click()")

    page.get_by_role("link", name="Compose", exact=True).click()
    write_compose(
        page,
        "services:\n  web:\n    image: berth/demo\n    ports: ['80']\n    environment: {GREETING: hello}\n",
    )
    page.get_by_role("button", name="Deploy as a new release").click()
    page.wait_for_url("**/apps/shop/")
    expect(page.locator("#head")).to_contain_text("Release 2", timeout=SOON)
    expect(page.locator("#progress")).to_contain_text("Succeeded", timeout=SOON)

    page.get_by_role("link", name="Releases", exact=True).click()
    page.get_by_role("link", name="Changes").first.click()
    expect(page.locator(".diff .add")).to_contain_text(["GREETING"])
    page.locator("#releases tr", has_text="#1").get_by_role("button", name="Roll back").click()
    page.wait_for_url("**/apps/shop/")
    expect(page.locator("#head")).to_contain_text("Release 3", timeout=SOON)

    page.get_by_role("button", name="Delete", exact=True).click()
    confirm = page.get_by_role("button", name="Delete app")
    expect(confirm).to_be_disabled()
    page.get_by_label("Type shop to confirm").fill("shop")
    confirm.click()
    page.wait_for_url("**/apps/")
    expect(page.get_by_text("Deploy your first app")).to_be_visible(timeout=SOON)


def test_what_the_engine_does_is_on_the_page_within_a_moment(page: Page, stack: Stack) -> None:
    deploy(page, "shop")
    expect(containers(page, "Running")).to_have_count(1, timeout=SOON)
    stay(page)
    with stack.lab.hosts[0].engine.client() as engine:
        os.kill(engine.containers.list(filters=WEB)[0].attrs["State"]["Pid"], signal.SIGKILL)
    expect(page.locator("#services .slot")).to_contain_text("1 restart", timeout=AT_ONCE)
    assert never_reloaded(page)


def test_a_lost_console_is_marked_and_made_up_for(page: Page, watched: Watched, stack: Stack) -> None:
    deploy(page, "shop")
    expect(containers(page, "Running")).to_have_count(1, timeout=SOON)
    stay(page)
    stack.lab.kill("web")
    expect(page.locator("[data-live-mark]")).to_be_visible(timeout=SOON)
    stack.lab.start_one("web")
    expect(page.locator("[data-live-mark]")).to_be_hidden(timeout=SOON)
    stack.lab.api.post("/apps/shop/services/web/scale", {"replicas": 2})
    expect(containers(page, "Running")).to_have_count(2, timeout=SOON)
    assert never_reloaded(page)
    watched.errors.clear()  # Chromium reports each refused connection


def test_problems_of_a_compose_file_are_at_their_lines(page: Page) -> None:
    page.goto("/t/default/apps/new/compose/")
    page.get_by_label("App name").fill("bad")
    write_compose(
        page, "services:\n  web:\n    image: berth/demo\n    privileged: true\n    volumes: ['/etc:/host']\n"
    )
    page.get_by_role("button", name="Deploy").click()
    expect(page.locator("#problems li")).to_have_count(2)
    expect(page.locator(".editor-host .cm-lint-marker-error")).to_have_count(2)
    page.locator("#problems a").first.click()
    expect(page.locator(".editor-host .cm-activeLine")).to_contain_text("privileged: true")


def test_bad_input_is_answered_at_the_right_place(page: Page) -> None:
    deploy(page, "shop")
    page.goto("/t/default/apps/new/")
    page.get_by_label("App name").fill("shop")
    page.get_by_label("Image").fill("berth/demo")
    page.get_by_role("button", name="Deploy").click()
    expect(page.locator("#id_name-error")).to_contain_text("already")

    page.goto("/t/default/apps/new/compose/")
    page.get_by_label("App name").fill("big")
    limits = "deploy: {resources: {limits: {memory: 900G}}}"
    write_compose(page, f"services:\n  web:\n    image: berth/demo\n    {limits}\n")
    page.get_by_role("button", name="Deploy").click()
    expect(page.locator("#problems")).to_contain_text("900.0 GiB of memory")


def test_a_command_that_exits_at_once_says_so(page: Page) -> None:
    page.goto("/t/default/apps/new/compose/")
    page.get_by_label("App name").fill("crash")
    command = "command: [sh, -c, 'echo no database; exit 3']"
    write_compose(page, f"services:\n  web:\n    image: berth/demo\n    {command}\n    restart: 'no'\n")
    page.get_by_role("button", name="Deploy").click()
    expect(page.locator("#services")).to_contain_text("exit code 3", timeout=SOON)
    page.locator("#services summary", has_text="Its last lines").first.click()
    expect(page.locator("#services pre").first).to_contain_text("no database")


def test_it_can_be_used_by_keyboard_and_on_a_phone(page: Page) -> None:
    page.goto("/t/default/apps/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.goto("/t/default/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/t/default/")
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("link", name="Nodes", exact=True).click()
    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    for address in (
        "",
        "apps/new/",
        "apps/new/compose/",
        "nodes/node-1/",
        "events/",
        "settings/",
        "settings/webhooks/",
    ):
        page.goto(f"/t/default/{address}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_language_and_theme_stay(page: Page) -> None:
    page.goto("/t/default/")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("button", name="Language").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", name="概览")).to_be_visible()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(14, 18, 23)"
    page.get_by_role("button", name="语言").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_what_if_comes_into_the_page_and_a_slot_says_why_it_is_there(page: Page) -> None:
    deploy(page, "shop")
    expect(page.locator("#progress")).to_contain_text("Succeeded", timeout=SOON)
    page.locator("#services").get_by_role("link", name="web.1", exact=True).click()
    expect(page.locator("#placement .chosen")).to_contain_text("node-1")
    expect(page.locator("#placement")).to_contain_text("node-1: the only node")

    page.get_by_role("link", name="web", exact=True).click()
    page.get_by_label("Try up to").fill("2")
    page.get_by_role("button", name="How many more fit?").click()
    expect(page.locator("#room")).to_contain_text("2 more replicas fit: as many as were tried.")

    page.goto("/t/default/nodes/node-1/")
    stay(page)
    page.get_by_role("link", name="If it went").click()
    expect(page.locator("#outcome")).to_contain_text("Would wait 1")
    expect(page.locator("#outcome")).to_contain_text("No node would be left")
    page.get_by_role("link", name="If it were drained").click()
    expect(page.locator("#outcome")).to_contain_text("1 is draining")
    assert never_reloaded(page)

    page.get_by_role("button", name="Drain").click()
    page.get_by_role("link", name="See first what would move").click()
    expect(page.get_by_role("heading", name="If node-1 were drained")).to_be_visible()
    page.goto("/t/default/nodes/")
    page.get_by_role("link", name="Rebalance").click()
    expect(page.get_by_text("Nothing is worth a move")).to_be_visible()


def test_a_drained_node_takes_nothing_until_it_is_undrained(page: Page) -> None:
    page.goto("/t/default/nodes/node-1/")
    page.get_by_role("button", name="Drain").click()
    page.get_by_role("button", name="Drain this node").click()
    expect(page.locator("#head")).to_contain_text("Drained: no container is left", timeout=SOON)
    deploy(page, "shop")
    expect(page.locator("#services")).to_contain_text("1 is draining", timeout=SOON)
    expect(page.locator("#services")).to_contain_text("What would make it fit")
    page.goto("/t/default/nodes/node-1/")
    page.get_by_role("button", name="Undrain").click()
    page.goto("/t/default/apps/shop/")
    expect(containers(page, "Running")).to_have_count(1, timeout=SOON)


def test_a_new_hosts_command_is_shown_once(page: Page, stack: Stack) -> None:
    page.goto("/t/default/nodes/")
    page.get_by_role("button", name="Add node").first.click()
    page.get_by_label("Node name").fill("node-9")
    page.get_by_role("button", name="Make the command").click()
    expect(page.locator("#node-command")).to_contain_text("make join ARGS=")
    page.get_by_role("button", name="Done").click()
    tokens = page.locator("#join-tokens")
    expect(tokens).to_contain_text("node-9")
    tokens.get_by_role("button", name="Revoke").click()
    expect(page.locator("#join-tokens")).to_contain_text("Revoked")
