"""Acts on Network settings, groups and forwarders."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from base.failures import Failure
from tests.admin.test_acts import Stage
from tests.directory.fixtures import DOMAIN, demo_directory


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with demo_directory() as directory:
        yield Stage(directory)


async def test_network_settings(stage: Stage) -> None:
    changed = await stage.do("network.set", key="clientips", value="10.0.0.0/8 ; office\n192.0.2.1-192.0.2.9")
    assert isinstance(changed, dict)
    assert (changed["key"], changed["from"]) == ("ClientIPs", "set")
    assert "192.0.2.5" in stage.directory.network.clients
    with pytest.raises(Failure, match="ClientIPs line 2 column 1"):
        await stage.do("network.set", key="ClientIPs", value="10.0.0.1\nx")
    with pytest.raises(Failure, match="or --default"):
        await stage.do("network.set", key="ClientIPs")
    await stage.do("network.set", key="ClientIPs", default=True)
    shown = await stage.do("network.show", key="ClientIPs")
    assert isinstance(shown, list)
    assert isinstance(shown[0], dict)
    assert (shown[0]["value"], shown[0]["from"]) == ("", "default")
    everything = await stage.do("network.show")
    assert isinstance(everything, list)
    assert len(everything) > 5
    with pytest.raises(Failure, match="shuts nobody out"):
        await stage.do("network.blocked")


async def test_groups(stage: Stage) -> None:
    assert await stage.do("group.add", name="Sales", members=["alice", "202"]) == {
        "name": "sales", "domain": DOMAIN, "members": ["alice", "202"], "ring": "all", "step": 15, "then": "",
    }  # fmt: skip
    changed = await stage.do("group.members", name="sales", add=["pbx", "ALICE"], remove=["202"])
    assert changed["members"] == ["alice", "pbx"]
    with pytest.raises(Failure, match="all, join, hunt"):
        await stage.do("group.ring", name="sales", order="round")
    with pytest.raises(Failure, match="1 to 600"):
        await stage.do("group.ring", name="sales", step=0)
    await stage.do("group.ring", name="sales", order="hunt", then="bob")
    changed = await stage.do("group.ring", name="sales", step=20)
    assert (changed["ring"], changed["step"], changed["then"]) == ("hunt", 20, "bob")
    assert await stage.do("group.list") == [changed]
    assert await stage.do("group.show", name=f"sales@{DOMAIN}") == changed
    with pytest.raises(Failure, match="no address"):
        await stage.do("group.members", name="sales", add=["a,b"])
    with pytest.raises(Failure, match="is taken"):
        await stage.do("group.add", name="alice", members=[])
    with pytest.raises(Failure, match="no group alice"):
        await stage.do("group.remove", name="alice")
    await stage.do("group.remove", name="sales")
    assert await stage.do("group.list") == []


async def test_forwarders(stage: Stage) -> None:
    made = await stage.do("forwarder.add", name="frontdesk", target="201")
    assert made == {"name": "frontdesk", "domain": DOMAIN, "target": "201"}
    assert await stage.do("forwarder.list") == [made]
    with pytest.raises(Failure, match="no forwarder sales"):
        await stage.do("forwarder.remove", name="sales")
    assert await stage.do("forwarder.remove", name="frontdesk") == made
    assert await stage.do("forwarder.list", domain=DOMAIN) == []
