"""SIPp, a stranger's implementation, registers over UDP and TCP with its own digest, and is refused with a bad one."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, play

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")

HOST = "127.0.32.1"

SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
  <send retrans="500"><![CDATA[
REGISTER sip:DOMAIN SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:bob@DOMAIN>;tag=[call_number]
To: <sip:bob@DOMAIN>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:bob@[local_ip]:[local_port];transport=[transport]>;expires=300
Content-Length: 0

]]></send>
  <recv response="401" auth="true"/>
  <send retrans="500"><![CDATA[
REGISTER sip:DOMAIN SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:bob@DOMAIN>;tag=[call_number]
To: <sip:bob@DOMAIN>
Call-ID: [call_id]
CSeq: 2 REGISTER
Contact: <sip:bob@[local_ip]:[local_port];transport=[transport]>;expires=300
[authentication username=202 password=PASSWORD]
Content-Length: 0

]]></send>
  <recv response="STATUS"/>
</scenario>
""".replace("DOMAIN", DOMAIN)


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


async def sipp(folder: Path, remote: tuple[str, int], mode: str, password: str, status: int) -> int:
    scenario = folder / "register.xml"
    scenario.write_text(SCENARIO.replace("PASSWORD", password).replace("STATUS", str(status)))
    # 1024 to 60999 is what SIPp finds by itself when no port is given; -m calls, -l at once, no screen
    process = await asyncio.create_subprocess_exec(
        *("sipp", f"{remote[0]}:{remote[1]}", "-sf", str(scenario), "-i", "127.0.32.2", "-m", "5", "-l", "2"),
        *("-t", mode, "-nostdin", "-timeout", "20", "-timeout_error", "-trace_err", "-error_file", str(folder / "err")),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(40):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("mode", ["u1", "t1"])
async def test_sipp_registers(tmp_path: Path, mode: str) -> None:
    async def scene(house: Exchange) -> None:
        assert await sipp(tmp_path, house.address, mode, "bob-secret", 200) == 0
        assert house.metrics.value("pbx.registrar.200") == 5
        assert len(house.bindings.contacts(house.account_id("bob"))) == (1 if mode == "u1" else 0)

    await play(scene, real=(HOST, free_port(socket.SOCK_DGRAM)))


async def test_sipp_with_a_bad_password_is_403(tmp_path: Path) -> None:
    async def scene(house: Exchange) -> None:
        assert await sipp(tmp_path, house.address, "u1", "guess", 403) == 0
        assert house.metrics.value("sip.auth.failures") == 5
        assert len(house.bindings) == 0

    await play(scene, real=(HOST, free_port(socket.SOCK_DGRAM)))
