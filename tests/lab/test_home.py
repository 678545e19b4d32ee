"""BERTH_HOME, the settings derived from it, and the errors on the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.common import pki
from ops.echo import MOST_LINES, Tail
from ops.home import Home, RunError, environ, primary_address
from ops.supervisor import programs


def open_home(path: Path, **given: str) -> Home:
    return Home.open({"BERTH_HOME": str(path), **given})


def test_the_home_and_its_secrets_are_private_and_stay(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    first = home.environment({}, "unix:///x.sock")
    again = open_home(tmp_path / "home").environment({}, "unix:///x.sock")
    assert again == first
    assert home.path.stat().st_mode & 0o777 == 0o700
    for name in ("secret-key", "redis-password", "redis-port"):
        assert (home.path / name).stat().st_mode & 0o777 == 0o600
    assert len((home.path / "secret-key").read_text().strip()) >= 50


def test_what_the_environment_says_wins_over_what_is_derived(tmp_path: Path) -> None:
    given = {"REDIS_URL": "redis://r/0", "BERTH_SECRET_KEY": "k" * 40, "BERTH_URL": "https://b.example.org"}
    env = open_home(tmp_path).environment(given, "unix:///x.sock")
    assert {name: env[name] for name in given} == given
    assert "BERTH_BROKER_URL" not in env
    assert "BERTH_SECRET_KEY_FILE" not in env


def test_a_public_web_server_has_further_host_names_and_its_broker_stays_on_this_machine(
    tmp_path: Path,
) -> None:
    home = open_home(tmp_path, BERTH_BIND="10.1.2.3", BERTH_PORT="81")
    private = open_home(tmp_path).environment({}, "unix:///x.sock")
    public = home.environment({}, "unix:///x.sock")
    assert "BERTH_ALLOWED_HOSTS" not in private
    for env in (private, public):
        assert env["REDIS_URL"].startswith("redis://berth:")
        assert "@127.0.0.1:" in env["REDIS_URL"]
        assert not env.keys() & {"BERTH_BROKER_URL", "BERTH_LINK_URL"}
    config = home.redis_config({}).read_text().splitlines()
    assert "bind 127.0.0.1" in config
    assert not any(line.startswith("tls-") for line in config)
    assert public["BERTH_URL"] == "http://10.1.2.3:81"
    assert "10.1.2.3" in public["BERTH_ALLOWED_HOSTS"].split(",")


def test_a_web_server_on_every_address_is_known_by_one_and_reached_locally(tmp_path: Path) -> None:
    home = open_home(tmp_path, BERTH_BIND="0.0.0.0")
    assert home.local_address == "127.0.0.1"
    assert home.address == primary_address()
    assert open_home(tmp_path, BERTH_BIND="::1").url == "http://[::1]:8000"


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1"])
def test_a_bad_port_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(RunError, match=f"BERTH_PORT is '{port}'"):
        open_home(tmp_path, BERTH_PORT=port)


def test_empty_settings_are_defaults_and_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text("redis://u:p@r:1/0\n")
    monkeypatch.setenv("BERTH_PORT", "")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    given = environ()
    assert "BERTH_PORT" not in given
    assert given["REDIS_URL"] == "redis://u:p@r:1/0"
    assert "REDIS_URL_FILE" not in given


def test_errors_reach_the_terminal_with_tracebacks_and_nothing_twice(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("ERROR before it began\n")
    tail = Tail(log)
    with log.open("a") as out:
        out.write(
            "INFO fine\nTraceback (most recent call last):\n  File x\nValueError: no\nINFO on\nERROR half"
        )
        out.flush()
        expected = ["Traceback (most recent call last):", "  File x", "ValueError: no"]
        assert tail.trouble() == [f"        web | {line}" for line in expected]
        out.write(" a line\n")
        out.flush()
        assert tail.trouble() == ["        web | ERROR half a line"]
    assert tail.trouble() == []


def test_a_flood_of_errors_is_cut_and_a_rotated_log_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    tail = Tail(log)
    assert tail.trouble() == []
    log.write_text("ERROR x\n" * (MOST_LINES + 5))
    assert len(tail.trouble()) == MOST_LINES + 1
    log.write_text("ERROR new\n")
    assert tail.trouble() == ["        web | ERROR new"]


def test_the_named_address_is_where_others_find_everything(tmp_path: Path) -> None:
    given = {"BERTH_BIND": "0.0.0.0", "BERTH_URL": "http://127.0.0.7:8000"}
    found = open_home(tmp_path, **given).environment(given, "unix:///x.sock")
    assert "127.0.0.7" in found["BERTH_ALLOWED_HOSTS"].split(",")
    assert found["BERTH_NODE_ADDRESS"] == "127.0.0.7"


def test_a_name_of_a_proxy_is_answered_but_nothing_listens_there(tmp_path: Path) -> None:
    given = {"BERTH_BIND": "0.0.0.0", "BERTH_URL": "https://berth.example.com"}
    found = open_home(tmp_path, **given).environment(given, "unix:///x.sock")
    assert "berth.example.com" in found["BERTH_ALLOWED_HOSTS"].split(",")
    assert found["BERTH_NODE_ADDRESS"] == primary_address()


def test_with_a_public_address_further_hosts_come_in_over_tls_alone(tmp_path: Path) -> None:
    given = {"BERTH_PUBLIC_ADDRESS": "127.0.0.7", "BERTH_LINK_PORT": "8555"}
    home = open_home(tmp_path, **given)
    found = home.environment(given, "unix:///x.sock")
    assert found["BERTH_LINK_URL"] == "https://127.0.0.7:8555"
    assert found["BERTH_BROKER_URL"] == "rediss://127.0.0.7:8444/0"
    assert found["BERTH_NODE_ADDRESS"] == "127.0.0.7"
    assert found["REDIS_URL"].startswith("unix://berth:")
    config = home.redis_config(found).read_text().splitlines()
    assert {"port 0", "tls-port 8444", "bind 127.0.0.1 127.0.0.7", "tls-auth-clients no"} <= set(config)
    assert pki.names_of(pki.read_certificate(tmp_path / "tls" / "server.crt")) >= {"127.0.0.7", "localhost"}
    assert [program.name for program in programs(home, with_redis=True)][:3] == ["redis", "web", "link"]
    given["BERTH_PUBLIC_ADDRESS"] = "berth.example.com"
    assert open_home(tmp_path, **given).join_bind == "0.0.0.0"


def test_a_home_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    given = {"BERTH_PUBLIC_ADDRESS": "127.0.0.7"}
    home = open_home(tmp_path / ("x" * 120), **given)
    with pytest.raises(RunError, match="choose a shorter one"):
        home.environment(given, "unix:///x.sock")
