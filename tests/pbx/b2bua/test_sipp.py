"""SIPp, an independent implementation, calls through the B2BUA on loopback."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from bench.sipp import free_port
from directory.model import Account
from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.transport.sockets import SystemNetwork
from tests.pbx.b2bua import acts
from tests.pbx.b2bua.house import ALICE, BOB, House

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")

HOST = "127.0.73.1"


async def sipp(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "sipp",
        *arguments,
        "-nostdin",
        "-nd",
        "-deadcall_wait",
        "0",
        "-timeout",
        "60s",
        "-timeout_error",
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(70):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


def register(house: House, account: Account, port: int) -> None:
    contact = f"sip:{account.name}@{HOST}:{port}"
    flow = Flow("udp", (house.address[0], house.address[1]), (HOST, port))
    binding = Binding(account.id, contact, contact, f"<{contact}>", flow, 1e12, "c", 1)
    house.town.bindings.setdefault(account.id, []).append(binding)


async def test_sipp_calls_the_echo(tmp_path: Path) -> None:
    async with House(network=SystemNetwork(), address=("127.0.73.2", 0)) as house:
        server = f"{house.address[0]}:{house.address[1]}"
        caller = await sipp(
            tmp_path, "-sn", "uac", "-s", "echo", server, "-i", HOST, "-m", "20", "-r", "50", "-d", "100"
        )
        await finished(caller)
        while len(house.book.records) < 20:
            await asyncio.sleep(0.01)
        assert all((r.program, r.outcome, r.ended_by) == ("echo", "answered", "caller") for r in house.book.records)
        assert house.studio.loaded() == 0


async def test_sipp_calls_sipp(tmp_path: Path) -> None:
    async with House(network=SystemNetwork(), address=("127.0.73.3", 0)) as house:
        port = free_port(HOST)
        register(house, BOB, port)
        server = f"{house.address[0]}:{house.address[1]}"
        callee = await sipp(tmp_path, "-sn", "uas", "-i", HOST, "-p", str(port), "-m", "20")
        await acts.taken(HOST, port)
        caller = await sipp(
            tmp_path, "-sn", "uac", "-s", "bob", server, "-i", HOST, "-m", "20", "-r", "50", "-d", "100"
        )
        await finished(caller)
        await finished(callee)
        while len(house.book.records) < 20:
            await asyncio.sleep(0.01)
        assert {record.outcome for record in house.book.records} == {"answered"}
        assert {record.callee for record in house.book.records} == {BOB.address}
        assert ALICE.id not in {record.callee_account for record in house.book.records}
        assert house.studio.loaded() == 0
        assert house.metrics.value("calls.faults") == 0
