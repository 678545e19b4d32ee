"""The terminal page: who gets it, and in a real Chromium over the whole of Berth, what it does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from console.workloads.models import App, Container
from tests import factories
from tests.web.browser import Watched, launched, screenshot
from tests.web.conftest import Stack, Visitors

SOON = 30_000
"""Milliseconds for what an engine has to do."""
COMPOSE = """
services:
  web:
    image: berth/demo
    command: [sleep, "100000"]
"""


@pytest.fixture
def container(people: Visitors) -> Container:
    app = factories.make_app(people.access, "shop")
    return factories.make_container(app, factories.make_node("n1"))


def test_developers_get_a_terminal_and_others_do_not(people: Visitors, container: Container) -> None:
    path = f"/t/ours/apps/shop/containers/{container.id}/terminal/"
    for client, status in (
        (people.owner, 200),
        (people.developer, 200),
        (people.viewer, 403),
        (people.stranger, 404),
    ):
        assert client.get(path).status_code == status
    assert people.nobody.get(path).status_code == 302
    for client, shown in ((people.developer, True), (people.viewer, False)):
        assert (path in client.get("/t/ours/apps/shop/").content.decode()) is shown


def test_only_styles_with_the_pages_own_nonce_are_let_in(people: Visitors, container: Container) -> None:
    path = f"/t/ours/apps/shop/containers/{container.id}/terminal/"
    nonces = set()
    for _time in range(2):
        response = people.owner.get(path)
        [nonce] = re.findall(r'data-nonce="([\w-]{20,})"', response.content.decode())
        policy = response.headers["Content-Security-Policy"].split("; ")
        assert f"style-src 'self' 'nonce-{nonce}'" in policy
        assert "script-src 'self'" in policy
        nonces.add(nonce)
    assert len(nonces) == 2
    assert "style-src 'self'" in people.owner.get("/t/ours/apps/").headers["Content-Security-Policy"].split(
        "; "
    )


def test_a_container_of_another_app_is_not_found(people: Visitors, container: Container) -> None:
    factories.make_app(people.access, "other")
    assert people.owner.get(f"/t/ours/apps/other/containers/{container.id}/terminal/").status_code == 404
    assert App.objects.count() == 2


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with launched(chromium) as started:
        yield started


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """The first owner's, on the terminal of a running container. At the end it must have had no error."""
    stack.lab.api.post("/apps", {"name": "shop", "compose": COMPOSE})
    context = browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())
    opened = watched.page
    opened.goto(stack.sign_in_link())
    opened.get_by_role("button", name="Continue").click()
    opened.goto("/t/default/apps/shop/")
    opened.get_by_role("link", name="Terminal in").click(timeout=SOON)
    yield opened
    context.close()
    stack.lab.remove_apps()
    assert watched.errors == []


def output(page: Page) -> str:
    return page.locator(".xterm-rows").inner_text().replace("\xa0", " ")


def expect_output(page: Page, pattern: str) -> None:
    expect(page.locator(".xterm-rows")).to_contain_text(re.compile(pattern.replace(" ", r"\s")))


def connected(page: Page) -> None:
    expect(page.locator("[data-session=open]")).to_be_attached(timeout=SOON)
    expect(page.locator("[data-terminal-state]")).to_have_text("Connected")


@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.redis
def test_a_person_works_in_a_container(page: Page, stack: Stack) -> None:
    connected(page)
    page.keyboard.type("echo hel''lo $((40 + 2))\n")
    expect_output(page, "hello 42")
    page.keyboard.type("printf '\\033[38;2;1;100;3mgreen\\033[0m\\n'; stty size\n")
    expect(page.locator(".xterm-rows span[style*='rgb(1, 100, 3)']", has_text="green")).to_be_visible()
    rows, columns = page.evaluate("[document.querySelectorAll('.xterm-rows > div').length, 0]")
    assert columns == 0
    expect_output(page, rf"{rows} \d+")
    screenshot(page, "terminal")

    page.keyboard.type("cat /etc/host")
    page.keyboard.press("Tab")
    expect(page.locator(".xterm-helper-textarea")).to_be_focused()
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+,")
    expect(page.get_by_role("button", name="New session")).to_be_focused()

    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".xterm-screen").click()
    page.keyboard.type("clear; stty size | cut -d' ' -f2 | sed 's/^/columns=/'\n")
    expect_output(page, r"columns=[345]\d\b")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.keyboard.type("exit 7\n")
    expect(page.locator("[data-terminal-state]")).to_have_text("Ended with exit code 7")
    page.get_by_role("button", name="New session").click()
    connected(page)
    events = stack.lab.api.get("/apps/shop/events")["items"]
    kinds = [event["kind"] for event in events if event["kind"].startswith("exec.")]
    assert kinds[:3] == ["exec.opened", "exec.closed", "exec.opened"]


@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.redis
def test_another_command_and_one_that_is_not_there(page: Page) -> None:
    connected(page)
    page.get_by_label("What to run").select_option("own")
    page.get_by_label("Command").fill("echo 'one  two'")
    page.get_by_label("Command").press("Enter")
    expect(page.locator("[data-terminal-state]")).to_have_text("Ended with exit code 0")
    expect_output(page, "one  two")
    page.get_by_label("Command").fill("/missing/program")
    page.get_by_label("Command").press("Enter")
    expect(page.locator("[data-terminal-state]")).to_contain_text("no such program")


@pytest.mark.browser
@pytest.mark.engine
@pytest.mark.redis
def test_paste_and_a_flood(page: Page) -> None:
    """A flood is held back by what the page has drawn, and the keyboard still ends it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    connected(page)
    page.evaluate("navigator.clipboard ? navigator.clipboard.writeText('echo past$((1))ed') : null")
    page.keyboard.type("yes flood\n")
    expect_output(page, "flood")
    page.wait_for_timeout(1500)
    page.keyboard.press("Control+c")
    page.keyboard.type("\necho still$((1))here\n")
    expect_output(page, "still1here")
