"""Lists of addresses, paces, and the Network settings in the directory."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.failures import Failure
from directory import pace
from directory.addresses import AddressList, parse, source_of
from directory.directory import Directory
from directory.network import Relay, known
from directory.pace import Pace
from tests.directory.fixtures import demo_directory

LIST = """
; the office
10.0.0.0/8            ; all of it
192.0.2.10-192.0.2.19 ; gateways
192.0.2.30 - 192.0.2.31
198.51.100.7
2001:db8::/32
"""


@pytest.mark.parametrize(
    ("host", "there"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.9", False),
        ("192.0.2.10", True),
        ("192.0.2.19", True),
        ("192.0.2.20", False),
        ("192.0.2.31", True),
        ("198.51.100.7", True),
        ("2001:db8:ffff::1", True),
        ("2001:db9::", False),
        ("::ffff:10.1.2.3", True),  # an IPv4 peer at an IPv6 socket
        ("alice.example", False),
        ("", False),
    ],
)
def test_a_list_as_communigate_writes_it(host: str, there: bool) -> None:
    assert (host in parse(LIST, "ClientIPs")) is there


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("10.0.0.1\n  10.0.0.300 ; typo", "ClientIPs line 2 column 3"),
        ("10.0.0.9-10.0.0.1", "line 1 column 1: .*backwards"),
        ("10.0.0.1-::1", "from one kind of address to the other"),
        ("10.0.0.1 10.0.0.2", "line 1 column 10: one address"),
        ("gate.example", "line 1 column 1"),
        ("10.0.0.0/33", "line 1 column 1"),
        ("-", "line 1 column 1"),
    ],
)
def test_what_is_no_list_is_refused_with_its_place(text: str, where: str) -> None:
    with pytest.raises(Failure, match=where):
        parse(text, "ClientIPs")


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 5000)), max_size=8), st.integers(0, 2**32 - 1))
def test_a_list_holds_what_its_lines_hold(ranges: list[tuple[int, int]], probe: int) -> None:
    last = 2**32 - 1
    lines = "\n".join(
        f"{ipaddress.IPv4Address(first)}-{ipaddress.IPv4Address(min(first + more, last))}" for first, more in ranges
    )
    found = parse(lines, "x")
    for value in (probe, *(first for first, _ in ranges), *(first - 1 for first, _ in ranges if first)):
        host = str(ipaddress.IPv4Address(value))
        inside = any(first <= value <= first + more for first, more in ranges)
        assert (host in found) is inside
        assert any(ipaddress.ip_address(host) in network for network in found.networks()) is inside


def test_lists_are_joined() -> None:
    assert "10.0.0.2" in parse("10.0.0.1", "x") | AddressList.of([ipaddress.ip_network("10.0.0.2/32")])


def test_sources_are_counted_as_subscribers_have_them() -> None:
    assert source_of("192.0.2.7") == source_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")


def test_paces() -> None:
    assert pace.parse("10,1m; 100, 1h") == (Pace(10, 60.0), Pace(100, 3600.0))
    assert pace.parse("unlimited") == pace.parse("") == ()
    for wrong in ("10", "10,0", "10 a minute", "10,1w", "1,1s;" * 6):
        with pytest.raises(Failure, match="pace"):
            pace.parse(wrong)


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    async with demo_directory() as opened:
        yield opened


async def test_settings_are_used_at_once_and_found_again(directory: Directory) -> None:
    assert not directory.network.clients
    assert directory.network.relay is Relay.CLIENTS
    settings = directory.network_settings
    await settings.set("clientips", "10.0.0.0/8 ; office")
    await settings.set("LANIPs", "172.16.0.0/12")
    assert "10.1.1.1" in directory.network.clients
    assert "172.16.1.1" not in directory.network.clients
    await settings.set("LANAreClients", "YES")
    assert "172.16.1.1" in directory.network.clients
    assert settings.text("ClientIPs") == "10.0.0.0/8 ; office"
    await settings.set("ClientIPs", None)
    assert "10.1.1.1" not in directory.network.clients


async def test_a_wrong_value_changes_nothing(directory: Directory) -> None:
    settings = directory.network_settings
    await settings.set("ClientIPs", "10.0.0.1")
    for key, value in (
        ("ClientIPs", "10.0.0.1\nnonsense"),
        ("RelayToNonClients", "friends"),
        ("LANAreClients", "perhaps"),
        ("BlockTime", "-1"),
        ("BlockAfter", "many"),
    ):
        with pytest.raises(Failure):
            await settings.set(key, value)
    assert "10.0.0.1" in directory.network.clients
    with pytest.raises(Failure, match="did you mean ClientIPs"):
        known("ClientIP")


@pytest.mark.parametrize(("relay", "client", "there"), [
    ("nobody", True, False), ("nobody", False, False), ("clients", True, True), ("clients", False, False),
    ("everybody", False, True),
])  # fmt: skip
async def test_relay_to_non_clients(directory: Directory, relay: str, client: bool, there: bool) -> None:
    await directory.network_settings.set("ClientIPs", "192.0.2.1")
    await directory.network_settings.set("RelayToNonClients", relay)
    assert directory.network.may_relay("far.example", client=client) is there
    assert directory.network.may_relay("192.0.2.1", client=client) is (client or relay == "everybody")
