from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodeagent.config import load
from nodeagent.errors import BadConfig


def environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    return {
        "BERTH_NODE": "n1",
        "BERTH_CONSOLE_URL": "https://console.example.org/",
        "BERTH_AGENT_TOKEN": "secret",
        "BERTH_BROKER_URL": "redis://node-n1:pw@10.0.0.1:6379/0",
        "BERTH_AGENT_STATE": str(tmp_path / "state"),
        **changes,
    }


def test_the_environment_is_enough(tmp_path: Path) -> None:
    config = load(
        None,
        environment(
            tmp_path,
            BERTH_NODE_LABELS="zone=a, disk=ssd",
            BERTH_NODE_CPU="1500",
            BERTH_NODE_MEMORY="16g",
            BERTH_NODE_PORTS="31000-31010",
            BERTH_NODE_DISK="2t",
            BERTH_NODE_RESOURCES="gpu=2, my-fpga=1",
        ),
    )
    assert config.link_url == "wss://console.example.org/agent/v1/link"
    assert config.docker_host == "unix:///var/run/docker.sock"
    assert dict(config.labels) == {"zone": "a", "disk": "ssd"}
    assert (config.cpu, config.memory) == (1500, 16 << 30)
    assert (config.disk, dict(config.resources)) == (2 << 40, {"gpu": 2, "my-fpga": 1})
    assert (config.port_first, config.port_last) == (31000, 31010)
    assert config.state_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_file_is_overridden_by_the_environment(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "token").write_text("from a file\n")
    content = {"node": "from-file", "console": "ws://10.0.0.1:8000", "token_file": str(tmp_path / "token")}
    path = tmp_path / f"agent.{suffix}"
    toml = "\n".join(f'{key} = "{value}"' for key, value in content.items())
    path.write_text(json.dumps(content) if suffix == "json" else toml + '\n[labels]\nzone = "b"\n')
    values = environment(tmp_path, BERTH_NODE="from-environment")
    del values["BERTH_CONSOLE_URL"], values["BERTH_AGENT_TOKEN"]
    config = load(path, values)
    assert config.node == "from-environment"
    assert config.link_url == "ws://10.0.0.1:8000/agent/v1/link"
    assert config.token == "from a file"
    assert dict(config.labels) == ({} if suffix == "json" else {"zone": "b"})


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("BERTH_NODE", "", "node (BERTH_NODE) is missing"),
        ("BERTH_NODE", "a/b", "node (BERTH_NODE) is 'a/b'"),
        ("BERTH_CONSOLE_URL", "ftp://x", "console (BERTH_CONSOLE_URL) is 'ftp://x'"),
        ("BERTH_BROKER_URL", "amqp://x", "broker (BERTH_BROKER_URL) must look like"),
        ("BERTH_BROKER_URL", "redis://x:1/3", "must name database 0"),
        ("BERTH_NODE_PORTS", "10", "ports (BERTH_NODE_PORTS) is '10'"),
        ("BERTH_NODE_PORTS", "20-10", "the lower number first"),
        ("BERTH_NODE_MEMORY", "much", "memory (BERTH_NODE_MEMORY) is 'much'"),
        ("BERTH_NODE_DISK", "lots", "disk (BERTH_NODE_DISK) is 'lots'"),
        ("BERTH_NODE_RESOURCES", "gpu", "has '' of gpu; it must be a number from 1 to 10000"),
        ("BERTH_NODE_RESOURCES", "gpu=0", "has '0' of gpu"),
        ("BERTH_NODE_RESOURCES", "gpu=-1", "has '-1' of gpu"),
        ("BERTH_NODE_RESOURCES", "g u=1", "has the kind 'g u'"),
        ("BERTH_NODE_RESOURCES", "a-b=1,A_B=1", "two kinds that differ in case or dashes only"),
        ("BERTH_NODE_OVERLAY", "eth0", "overlay (BERTH_NODE_OVERLAY) is 'eth0'; it must be an IP address"),
        ("BERTH_NODE_OVERLAY", "127.0.0.1", "where no other node reaches this one"),
        ("BERTH_NODE_CPU", "-1", "cpu (BERTH_NODE_CPU) is '-1'"),
        ("BERTH_NODE_LABELS", "a b=c", "has the key 'a b'"),
        ("BERTH_AGENT_STATE", "/proc/berth", "state_dir (BERTH_AGENT_STATE) cannot be made"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, variable: str, value: str, said: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load(None, environment(tmp_path, **{variable: value}))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("address", "overlay", "wanted"),
    [
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "10.9.0.5", "10.9.0.5"),
        ("10.0.0.5", "off", ""),
        ("node-1.example.org", "", ""),
        ("127.0.0.1", "", ""),
    ],
)
def test_networks_across_hosts_use_the_nodes_address_if_others_reach_it(
    tmp_path: Path, address: str, overlay: str, wanted: str
) -> None:
    given = environment(tmp_path, BERTH_NODE_ADDRESS=address, BERTH_NODE_OVERLAY=overlay)
    assert load(None, given).overlay == wanted


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    with pytest.raises(BadConfig, match="cannot read the configuration file"):
        load(path, {})
    path.write_text("node = ")
    with pytest.raises(BadConfig, match="is not valid"):
        load(path, {})
    path.write_text('nodes = "n1"')
    with pytest.raises(BadConfig, match="unknown key nodes"):
        load(path, {})


def test_resources_of_a_file_are_a_table(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({"resources": {"gpu": 2}, "disk": 1000}))
    config = load(path, environment(tmp_path))
    assert (dict(config.resources), config.disk) == ({"gpu": 2}, 1000)
    path.write_text(json.dumps({"resources": [2]}))
    with pytest.raises(BadConfig, match="must be a table"):
        load(path, environment(tmp_path))
