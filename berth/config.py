"""Which console, which team, which token: from options, the environment, or what `berth login` kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from berth.errors import CliError, Exit


@dataclass(frozen=True, slots=True)
class Login:
    """`ca`: path of a certificate authority to trust beside the system's; empty for none."""

    url: str
    team: str
    token: str
    ca: str = ""


def path() -> Path:
    """The file of logins. BERTH_CONFIG names another one."""
    return Path(os.environ.get("BERTH_CONFIG") or Path(typer.get_app_dir("berth")) / "login.json")


def load(environment: Mapping[str, str] = os.environ, *, team: str = "") -> Login:
    """The login in force: each of BERTH_URL, BERTH_TOKEN, BERTH_TEAM and BERTH_CA_FILE wins over what is kept.

    A token that is kept never goes to another console than the one that it was kept for.
    """
    kept = _kept()
    url = environment.get("BERTH_URL", "").rstrip("/") or (kept.url if kept else "")
    token = environment.get("BERTH_TOKEN", "")
    if not token and kept and kept.url == url:
        token = kept.token
    if not url or not token:
        text = "Not signed in. Run `berth login URL`, or set BERTH_URL and BERTH_TOKEN."
        raise CliError(text, Exit.REFUSED)
    chosen = (
        team or environment.get("BERTH_TEAM", "") or (kept.team if kept and kept.url == url else "default")
    )
    return Login(url, chosen, token, environment.get("BERTH_CA_FILE", "") or (kept.ca if kept else ""))


def save(login: Login) -> Path:
    """Keeps the login for its user's eyes alone."""
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        os.fchmod(out.fileno(), 0o600)
        json.dump(asdict(login), out, indent=2)
    return file


def forget() -> bool:
    """Whether there was a login to forget."""
    try:
        path().unlink()
    except FileNotFoundError:
        return False
    return True


def _kept() -> Login | None:
    try:
        return Login(**json.loads(path().read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        text = f"{path()} cannot be read: {error}. Run `berth login URL` again."
        raise CliError(text, Exit.REFUSED) from error
