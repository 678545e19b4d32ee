"""docker-compose.yml through the real Compose v2: it accepts the file, and the shape is the one we mean."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from console.web.views.joining import container_command

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[2]


def compose() -> Path:
    """The binary itself: its wrapper script hides the exit status."""
    spec = importlib.util.find_spec("compose")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "docker-compose"


def config(
    *arguments: str,
    file: Path = ROOT / "docker-compose.yml",
    hosts: bool = False,
    given: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """`hosts`: with the file for further hosts on top. `given` are variables."""
    files = [file, ROOT / "docker-compose.hosts.yml"] if hosts else [file]
    argv = [str(compose()), *(word for one in files for word in ("-f", str(one))), "config", *arguments]
    env = {"PATH": os.environ["PATH"], **(given or {})}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    done = config("--format", "json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def with_hosts(**given: str) -> dict[str, Any]:
    """The services of both files together."""
    done = config("--format", "json", hosts=True, given={"BERTH_PUBLIC_ADDRESS": "10.0.0.1", **given})
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout)["services"])


def test_compose_accepts_the_file_without_a_warning() -> None:
    done = config("-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_can_fail(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(
        (ROOT / "docker-compose.yml").read_text().replace("restart: unless-stopped", "restrat: always")
    )
    assert config("-q", file=broken).returncode != 0


def test_it_has_the_production_shape(model: dict[str, Any]) -> None:
    assert sorted(model["services"]) == ["agent", "controller", "postgres", "redis", "setup", "web", "worker"]
    assert sorted(model["volumes"]) == ["agent", "home", "logs", "postgres", "redis"]
    ours = {
        name: service
        for name, service in model["services"].items()
        if service["image"] == "berth/console:latest"
    }
    assert sorted(ours) == ["agent", "controller", "setup", "web", "worker"]


def test_only_the_web_server_is_published_and_only_the_agent_reaches_the_engine(
    model: dict[str, Any],
) -> None:
    services = model["services"]
    assert {name: s["ports"][0]["target"] for name, s in services.items() if "ports" in s} == {"web": 8000}
    mounts = {name: [v["source"] for v in s.get("volumes", [])] for name, s in services.items()}
    assert [name for name, sources in mounts.items() if "/var/run/docker.sock" in sources] == ["agent"]
    assert [name for name, s in services.items() if s.get("user") == "root"] == ["agent"]


def test_nothing_of_ours_has_capabilities_it_does_not_need(model: dict[str, Any]) -> None:
    for name in ("web", "controller", "worker", "setup", "agent"):
        service = model["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("cap_add", []) == (["DAC_OVERRIDE", "CHOWN"] if name == "agent" else [])
        assert "privileged" not in service


def test_secrets_come_from_files_that_the_script_makes(model: dict[str, Any], tmp_path: Path) -> None:
    subprocess.run([ROOT / "ops" / "compose-secrets.sh", tmp_path], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {Path(secret["file"]).name for secret in model["secrets"].values()} == set(made)
    subprocess.run([ROOT / "ops" / "compose-secrets.sh", tmp_path], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == made
    assert made["redis-url"] == f"redis://berth:{made['redis-password'].strip()}@redis:6379/0\n"
    text = json.dumps(model["services"])
    assert not any(value.strip() in text for value in made.values())


def test_everything_waits_for_the_setup_and_the_setup_for_healthy_stores(model: dict[str, Any]) -> None:
    def waits(name: str) -> dict[str, str]:
        depends = model["services"][name]["depends_on"]
        return {other: condition["condition"] for other, condition in depends.items()}

    assert waits("setup") == {"postgres": "service_healthy", "redis": "service_healthy"}
    done = {"setup": "service_completed_successfully"}
    assert (waits("web"), waits("controller"), waits("worker")) == (done, done, done)
    assert waits("agent") == {"web": "service_healthy"}
    checked = [name for name, service in model["services"].items() if "healthcheck" in service]
    assert sorted(checked) == ["postgres", "redis", "web"]


def test_the_dockerfile_copies_only_what_the_build_context_lets_through() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    assert {source.rstrip("*") for sources in copies for source in sources} == allowed


def test_a_further_hosts_agent_gets_what_this_one_gets(model: dict[str, Any]) -> None:
    """The nodes page prints a command for it."""
    agent, words = model["services"]["agent"], shlex.split(container_command([]))

    def given(option: str) -> set[str]:
        return {value for name, value in itertools.pairwise(words) if name == option}

    assert given("--cap-add") == set(agent["cap_add"])
    assert given("--cap-drop") == set(agent["cap_drop"])
    assert given("--security-opt") == set(agent["security_opt"])
    assert {one.split(":")[1] for one in given("--volume")} == {one["target"] for one in agent["volumes"]}
    assert given("--env") == {f"BERTH_SECRETS_DIR={agent['environment']['BERTH_SECRETS_DIR']}"}
    assert agent["image"].partition(":")[0] in words


def test_further_hosts_need_an_address_to_find() -> None:
    done = config("-q", hosts=True)
    assert done.returncode != 0
    assert "set it to where further hosts find this one" in done.stderr


def test_further_hosts_get_two_doors_over_tls_and_this_one_uses_them_too() -> None:
    services = with_hosts()
    published = {name: s["ports"][0]["target"] for name, s in services.items() if "ports" in s}
    assert published == {"web": 8000, "link": 8443, "redis": 8444}
    for name in ("certificates", "setup", "web", "controller", "worker", "link"):
        environment = services[name]["environment"]
        assert environment["BERTH_LINK_URL"] == "https://10.0.0.1:8443"
        assert environment["BERTH_BROKER_URL"] == "rediss://10.0.0.1:8444/0"
        assert environment["BERTH_TLS_CERT"] == ""
    agent = services["agent"]
    assert agent["network_mode"] == "host"
    assert "BERTH_CONSOLE_URL" not in agent["environment"]
    assert services["redis"]["depends_on"]["certificates"]["condition"] == "service_completed_successfully"


def test_only_those_who_serve_or_hand_out_the_certificate_see_it_and_redis_no_other_file() -> None:
    services = with_hosts()
    sees = {
        name: volume["target"]
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume["source"] == "tls"
    }
    place = "/var/lib/berth/tls"
    assert sees == {"certificates": place, "setup": place, "web": place, "link": place, "redis": "/tls"}
    assert [volume["source"] for volume in services["redis"]["volumes"]] == ["redis", "tls"]


def test_a_certificate_of_ones_own_takes_the_place_of_ours() -> None:
    services = with_hosts(BERTH_CERTIFICATES="/etc/berth/tls")
    place = "/var/lib/berth/tls"
    given = {name: services["link"]["environment"][f"BERTH_TLS_{name}"] for name in ("CERT", "KEY", "CA")}
    assert given == {"CERT": f"{place}/server.crt", "KEY": f"{place}/server.key", "CA": f"{place}/ca.crt"}
    mounted = {volume["source"]: volume["target"] for volume in services["link"]["volumes"]}
    assert mounted["/etc/berth/tls"] == place
    trusted = with_hosts(BERTH_CERTIFICATES="/etc/berth/tls", BERTH_TLS_CA="system")["link"]["environment"]
    assert trusted["BERTH_TLS_CA"] == "system"
