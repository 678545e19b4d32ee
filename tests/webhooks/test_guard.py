from __future__ import annotations

from ipaddress import ip_address

import pytest
from pytest_django.fixtures import Settings

from console.webhooks import guard

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111"]
FORBIDDEN = [
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.254", "192.0.0.8", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "2001::1", "2002:7f00:1::", "2002:0808:0808::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "::7f00:1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "3fff::1", "5f00::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert guard.is_allowed(ip_address(address))


@pytest.mark.parametrize("address", FORBIDDEN)
def test_others_may_not(address: str) -> None:
    assert not guard.is_allowed(ip_address(address))


def test_the_operator_names_networks(settings: Settings) -> None:
    settings.WEBHOOK_NETWORKS = ["10.1.0.0/16", "fd00::/8"]
    for address, allowed in (
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("fd12::1", True),
        ("fc00::1", False),
        ("1.1.1.1", True),
    ):
        assert guard.is_allowed(ip_address(address)) is allowed, address


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "017700000001", "localhost", "0"])
def test_other_ways_to_write_an_address_are_judged_as_what_they_lead_to(host: str) -> None:
    found = guard.resolve(host, 80)
    assert found
    assert not any(guard.is_allowed(address) for address in found)


def test_a_name_without_an_address(settings: Settings) -> None:
    with pytest.raises(guard.Unresolved):
        guard.resolve("nowhere.invalid", 443)
    with pytest.raises(guard.Unresolved):
        guard.resolve("x" * 300, 443)
