"""Security keys in a real Chromium, whose virtual authenticator plays the key: set up, used to sign in, required."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from lab import programs, requirements
from lab.manage import manage
from lab.processes import wait_until
from lab.redis_server import RedisServer, free_port
from lab.state import Run
from tests.conftest import require
from tests.web.browser import Watched, launched

pytestmark = [pytest.mark.browser, pytest.mark.redis]

PASSWORD = "correct horse battery staple"
OWNER = "owner@localhost.localdomain"
BOB = f"""
from console.accounts.models import Membership, Team, User
Team.objects.update(two_factor_required=True)
bob = User.objects.create_user("bob@example.com", {PASSWORD!r})
Membership.objects.create(user=bob, team=Team.objects.get(), role="developer")
"""


@dataclass(frozen=True)
class Console:
    """A web process at a name for which browsers allow security keys without TLS."""

    url: str
    env: dict[str, str]

    def sign_in_link(self) -> str:
        return manage(self.env, ["sign_in_link"]).strip()


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    require(requirements.redis())
    with Run.create() as run:
        redis, port, home = RedisServer(run), free_port(), run.subdirectory("home")
        redis.start()
        env = {
            "PATH": "/usr/bin:/bin",
            "BERTH_HOME": str(home),
            "BERTH_URL": f"http://localhost:{port}",
            "BERTH_SECRET_KEY": secrets.token_urlsafe(48),
            "REDIS_URL": redis.url,
        }
        manage(env, ["migrate", "--no-input", "--verbosity", "0"], ["bootstrap", "--node", ""])
        web = run.process("web", programs.web("127.0.0.1", port), env=env, cwd=programs.ROOT)
        web.start()
        try:
            assert wait_until(lambda: "Uvicorn running" in web.tail(50), 20.0), web.tail()
            yield Console(env["BERTH_URL"], env)
        finally:
            web.stop()
            redis.stop()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with launched(chromium) as started:
        yield started


@pytest.fixture
def watched(browser: Browser, console: Console) -> Iterator[Watched]:
    context = browser.new_context(base_url=console.url)
    context.set_default_timeout(10_000)
    made = Watched(context.new_page())
    yield made
    context.close()
    assert made.errors == []


def plug_in(page: Page) -> tuple[CDPSession, str]:
    """A key that is touched at once whenever a page asks for it; and its id."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasResidentKey": False,
        "hasUserVerification": False,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, str(made["authenticatorId"])


def sign_counts(key: tuple[CDPSession, str]) -> list[int]:
    """Of each credential on the key: it grows with every use."""
    session, id_ = key
    found = session.send("WebAuthn.getCredentials", {"authenticatorId": id_})
    return [int(one["signCount"]) for one in found["credentials"]]


def add_key(page: Page, name: str) -> None:
    """From where the way to a new key begins: the password is asked for again first."""
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/account/two-factor/recovery-codes/**")


def sign_in(page: Page, email: str = OWNER) -> None:
    page.goto("/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_key_is_set_up_and_opens_the_door(watched: Watched, console: Console) -> None:
    page = watched.page
    page.goto(console.sign_in_link())
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    key = plug_in(page)
    page.goto("/account/two-factor/webauthn/add/")
    add_key(page, "Blue key")
    page.goto("/account/two-factor/webauthn/")
    expect(page.get_by_text("Blue key")).to_be_visible()
    [made] = sign_counts(key)

    page.context.clear_cookies()
    sign_in(page)
    page.wait_for_url("**/account/two-factor/authenticate/**")
    page.goto("/t/default/")
    page.wait_for_url("**/account/two-factor/authenticate/**")
    page.get_by_role("button", name="security key").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert sign_counts(key) > [made]


def test_who_has_none_is_led_to_one_where_the_team_requires_it(watched: Watched, console: Console) -> None:
    manage(console.env, ["shell", "--no-imports", "-c", BOB])
    page = watched.page
    sign_in(page, "bob@example.com")
    page.wait_for_url("**/account/second-factor/?team=default")
    page.goto("/t/default/apps/")
    expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()

    key = plug_in(page)
    page.get_by_role("link", name="Use a security key").click()
    add_key(page, "Green key")
    assert len(sign_counts(key)) == 1
    page.get_by_role("link", name="Back to Berth").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
