"""The steps of `make run` that are skipped when they are done, and the questions whether it is up."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request

import docker
from docker.errors import DockerException, ImageNotFound

from lab import demo_image
from ops.home import ROOT, Home, RunError


def load_demo_image(home: Home, docker_host: str, environ: dict[str, str]) -> None:
    """Has `berth/demo` in the engine. Only a missing busybox is no error: the image is an extra."""
    archive = home.path / "demo.tar"
    try:
        digest = demo_image.build(archive)
    except FileNotFoundError as error:
        print(f"berth: no demo image: {error}", flush=True)
        return
    try:
        client = docker.from_env(environment={**environ, "DOCKER_HOST": docker_host}, timeout=60)
        try:
            if not _has(client, digest):
                with archive.open("rb") as data:
                    client.images.load(data)
        finally:
            client.close()
    except (DockerException, OSError) as error:
        raise RunError(f"the demo image could not be loaded into the engine: {error}") from error


def _has(client: docker.DockerClient, digest: str) -> bool:
    try:
        return bool(client.images.get(demo_image.TAG).id == digest)
    except ImageNotFound:
        return False


def compile_translations() -> None:
    """Makes each locale's .mo file when it is older than its .po file."""
    for source in ROOT.glob("locale/*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        if shutil.which("msgfmt") is None:
            print("berth: translations are left out: apt-get install gettext", flush=True)
            return
        subprocess.run(["msgfmt", "-o", str(target), str(source)], check=True)


def web_answers(home: Home) -> bool:
    return _get(f"http://{home.local_address}:{home.port}/healthz") is not None


def node_is_ready(home: Home) -> bool:
    """Whether a node is ready to take containers, as the API says to the first owner."""
    token = home.path / "owner-token"
    if not token.exists():
        return False
    base = f"http://{home.local_address}:{home.port}/api/v1"
    answer = _get(f"{base}/teams/default/nodes", token.read_text().strip())
    return answer is not None and any(
        node["observed"]["state"] == "ready" for node in json.loads(answer)["items"]
    )


def _get(url: str, token: str = "") -> bytes | None:
    """The body, or None when the server does not answer with success. `url` is our own web server's."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # nosec B310
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None
