"""Which calls are a trunk's, and what of it is shown to others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from directory.secrets import Keyring
from pbx.policy.inbound import concealed
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.transaction_ports import ClientUser
from pbx.sipcore.uri import Uri
from pbx.trunk.line import Line
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import Trunks
from tests.directory.fixtures import DOMAIN, demo_directory

SERVER = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5060))
BEHIND_IT = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 40_000))


@dataclass
class Stack:
    """A provider that is found and never answers."""

    async def flow_to(self, uri: Uri, *, configured: bool = False) -> Flow:
        return SERVER

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object:
        return None

    def contact_for(self, flow: Flow, user: str = "") -> Uri:
        return Uri(host="192.0.2.1", port=5060)


def invite(uri: str) -> Request:
    request = Request("INVITE", uri)
    request.add("To", f"<{uri}>")
    return request


async def a_line(trunks: Trunks, inbound: str = "auto") -> Line:
    await trunks.start()
    trunk = Trunk("home", "provider.example", user="4930", registers=False, target="alice", inbound=inbound)
    await trunks.put(trunk, "x")
    line = trunks.line("home")
    line.connect()
    assert line._way is not None
    await line._way
    return line


@pytest.fixture
def databases() -> InlineDatabases:
    return InlineDatabases()


async def test_only_the_provider_s_server_is_the_provider(databases: InlineDatabases) -> None:
    """A telephone behind the provider's address must prove who it is."""
    database = await databases.main()
    trunks = Trunks(ManualClock(), SeededEntropy(1), Metrics(), Stack(), database, Keyring(b"k" * 32, SeededEntropy(2)))
    line = await a_line(trunks)
    assert trunks.sending(invite(f"sip:201@{DOMAIN}"), SERVER) is line
    assert trunks.sending(invite(f"sip:201@{DOMAIN}"), BEHIND_IT) is None
    assert trunks.sending(invite(f"sip:{line.contact_user}@192.0.2.1"), BEHIND_IT) is line
    await asyncio.gather(*trunks._tasks)
    databases.discard()


@pytest.mark.parametrize(
    ("inbound", "transport", "before", "after"),
    [
        ("auto", "udp", True, False),
        ("auto", "tcp", True, True),  # its address is not forged
        ("contact", "udp", False, False),
        ("contact", "tcp", False, False),
        ("address", "udp", True, True),
    ],
)
async def test_a_provider_that_has_named_our_contact_must_name_it(
    databases: InlineDatabases, inbound: str, transport: str, before: bool, after: bool
) -> None:
    """Also after a restart; the address and the port of his server can be forged, the name of the contact cannot."""
    database = await databases.main()
    server = Flow(transport, SERVER.local, SERVER.remote)  # type: ignore[arg-type]

    async def started() -> tuple[Trunks, Line]:
        keyring = Keyring(b"k" * 32, SeededEntropy(2))
        trunks = Trunks(ManualClock(), SeededEntropy(1), Metrics(), Stack(), database, keyring)
        return trunks, await a_line(trunks, inbound)

    trunks, line = await started()
    plain, named = invite(f"sip:4930@{DOMAIN}"), invite(f"sip:{line.contact_user}@192.0.2.1")
    assert (trunks.sending(plain, server) is line) == before
    assert trunks.sending(named, BEHIND_IT) is line
    assert (trunks.sending(plain, server) is line) == after
    await asyncio.gather(*trunks._tasks)
    again, line = await started()
    assert (again.sending(plain, server) is line) == after
    await again.put(replace(line.trunk, domain="other.example"), None)
    assert not again.line("home").named  # another registration, another contact
    databases.discard()


async def test_two_lines_at_one_provider_are_told_apart(databases: InlineDatabases) -> None:
    database = await databases.main()
    trunks = Trunks(ManualClock(), SeededEntropy(1), Metrics(), Stack(), database, Keyring(b"k" * 32, SeededEntropy(2)))
    await a_line(trunks)
    await trunks.put(Trunk("second", "provider.example", user="4931", registers=False), "x")
    second = trunks.line("second")
    assert trunks.sending(invite(f"sip:{second.contact_user}@192.0.2.1"), SERVER) is second
    databases.discard()


async def test_nobody_else_is_shown_the_secret_contact(databases: InlineDatabases) -> None:
    """History-Info, dialog packages and programs tell the Request-URI."""
    database = await databases.main()
    trunks = Trunks(ManualClock(), SeededEntropy(1), Metrics(), Stack(), database, Keyring(b"k" * 32, SeededEntropy(2)))
    line = await a_line(trunks)
    async with demo_directory() as directory:
        request = invite(f"sip:{line.contact_user}@192.0.2.1")
        concealed(directory, line, request)
        assert request.uri == f"sip:alice@{DOMAIN}"
        request = invite(f"sip:{line.contact_user}@192.0.2.1")
        request.set("To", "<sip:4930123@provider.example>")
        concealed(directory, line, request)
        assert request.uri == f"sip:4930123@{DOMAIN}"
        request = invite("sip:4930123@192.0.2.1")
        concealed(directory, line, request)
        assert request.uri == "sip:4930123@192.0.2.1"
    databases.discard()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("supervision", "maybe", "supervision is none or key, not 'maybe'"),
        ("disconnect_tone", "xx", "the disconnect tone: no tones are known of 'xx'"),
        ("disconnect_tone", "425/480", "the disconnect tone: '425/480' is no tone: write it like 425/480,0/480"),
    ],
)
async def test_what_an_analog_line_cannot_be(databases: InlineDatabases, key: str, value: str, told: str) -> None:
    database = await databases.main()
    trunks = Trunks(ManualClock(), SeededEntropy(1), Metrics(), Stack(), database, Keyring(b"k" * 32, SeededEntropy(2)))
    line = await a_line(trunks)
    with pytest.raises(Failure, match=told):
        await trunks.put(replace(line.trunk, **{key: value}), None)  # type: ignore[arg-type]
    assert trunks.line("home").trunk == line.trunk, "what was there stays"
    databases.discard()
