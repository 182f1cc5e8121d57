"""TFTP: the sender's machine, and the door with a real client."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.provisioning.desk import ProvisioningDesk
from gateways.provisioning.tftp import ProvisioningTftp, ReadRequest, Transfer, parse_request
from tests.gateways.provisioning.test_desk import MAC, opened


def fetch(content: bytes, options: tuple[tuple[str, str], ...] = ()) -> tuple[bytes, int]:
    """A client that acknowledges all; what it has got, and in how many packets."""
    transfer = Transfer(content, ReadRequest("x", options))
    got, packets, block = b"", 0, 0
    while True:
        packets += 1
        if transfer.packet[1] == 3:
            block += 1
            assert int.from_bytes(transfer.packet[2:4], "big") == block % 65536
            got += transfer.packet[4:]
        moved = transfer.acknowledged(b"\0\4" + (block % 65536).to_bytes(2, "big"))
        if moved is None:
            return got, packets
        assert moved


@given(st.integers(0, 3000), st.sampled_from([(), (("blksize", "1024"),), (("blksize", "8"), ("tsize", "0"))]))
def test_all_arrives(size: int, options: tuple[tuple[str, str], ...]) -> None:
    content = bytes(index % 251 for index in range(size))
    assert fetch(content, options)[0] == content


def test_a_file_of_many_blocks_wraps_around() -> None:
    content = bytes(8 * 66_000)
    got, _ = fetch(content, (("blksize", "8"),))
    assert got == content


def test_an_old_acknowledgement_sends_nothing() -> None:
    transfer = Transfer(bytes(2000), ReadRequest("x", ()))
    assert transfer.acknowledged(b"\0\4\0\1") is True
    assert transfer.acknowledged(b"\0\4\0\1") is False
    assert transfer.acknowledged(b"\0\5\0\0stop\0") is None


@given(st.binary(max_size=600))
def test_any_packet_is_read_or_left(packet: bytes) -> None:
    found = parse_request(packet)
    assert found is None or packet.startswith(b"\0\1")


async def through_the_door(desk: ProvisioningDesk, *command: str) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode or 0, output


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_fetches_a_file() -> None:
    async with opened() as house:
        await house.add()
        house.desk._inside = lambda address: True
        door = ProvisioningTftp(house.desk)
        port = await door.start("127.0.0.1", 0)
        try:
            status, text = await through_the_door(house.desk, "curl", "-s", f"tftp://127.0.0.1:{port}/{MAC}.cfg")
            assert status == 0
            assert b"account.1.password = alice-secret" in text
            status, _ = await through_the_door(house.desk, "curl", "-s", f"tftp://127.0.0.1:{port}/none.cfg")
            assert status == 68  # "File not found on TFTP server"
        finally:
            await door.close()
