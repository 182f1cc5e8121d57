"""What a call costs the signalling process: SIPp plays caller and callee outside, our CPU time is counted inside.

No media engine runs: its costs are in `bench/media.py`. Figures only, no pass or fail.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from base.log import configure
from pbx.b2bua.exchange import CallSettings
from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.transport.sockets import SystemNetwork
from tests.pbx.b2bua.house import ALICE, BOB, House

CALLS = 400
RATE = 150
PHONES = "127.0.74.1"


async def _sipp(folder: str, *arguments: str) -> asyncio.subprocess.Process:
    quiet = ("-nostdin", "-nd", "-deadcall_wait", "0", "-timeout", "60s", "-m", str(CALLS), "-i", PHONES)
    return await asyncio.create_subprocess_exec(
        "sipp", *arguments, *quiet, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )


def _caller_scenario(folder: str) -> str:
    """SIPp's own caller, taught to follow Record-Route, which the proxy needs."""
    stock = subprocess.run(["sipp", "-sd", "uac"], capture_output=True, text=True, check=False).stdout
    routed = stock.replace('response="200" rtd="true"', 'response="200" rtd="true" rrs="true"')
    ack, bye = "ACK sip:[service]@[remote_ip]:[remote_port]", "BYE sip:[service]@[remote_ip]:[remote_port]"
    for method, line in (("ACK", ack), ("BYE", bye)):
        routed = routed.replace(f"{line} SIP/2.0\n", f"{method} [next_url] SIP/2.0\n      [routes]\n")
    return _scenario(folder, "caller", routed)


def _callee_scenario(folder: str) -> str:
    """SIPp's own callee, taught to return Record-Route (RFC 3261 §12.1.1)."""
    stock = subprocess.run(["sipp", "-sd", "uas"], capture_output=True, text=True, check=False).stdout
    return _scenario(folder, "callee", stock.replace("[last_CSeq:]\n", "[last_CSeq:]\n      [last_Record-Route:]\n"))


def _scenario(folder: str, name: str, text: str) -> str:
    path = Path(folder) / f"{name}.xml"
    path.write_text(text[text.index("<?xml") :])
    return str(path)


def _register(house: House, port: int) -> None:
    contact = f"sip:bob@{PHONES}:{port}"
    flow = Flow("udp", house.address, (PHONES, port))
    house.town.bindings[BOB.id] = [Binding(BOB.id, contact, contact, f"<{contact}>", flow, 1e12, "c", 1)]


async def _measure(address: str, port: int, target: str, *, features: bool) -> float:
    """CPU microseconds per call."""
    settings = CallSettings(calls=10_000)
    async with House(settings, network=SystemNetwork(), address=(address, 0)) as house:
        if not features:
            house.town.settings[BOB.id, "CallFeatures"] = "NO"
        _register(house, port)
        with tempfile.TemporaryDirectory() as folder:
            callee = await _sipp(folder, "-sf", _callee_scenario(folder), "-p", str(port))
            await asyncio.sleep(0.3)
            before = time.process_time()
            scenario = _caller_scenario(folder)
            server = f"{house.address[0]}:{house.address[1]}"
            caller = await _sipp(folder, "-sf", scenario, "-s", target, server, "-r", str(RATE), "-d", "200")
            await caller.wait()
            spent = time.process_time() - before
            if callee.returncode is None:
                callee.terminate()
            await callee.wait()
        done = sum(1 for record in house.book.records if record.outcome == "answered")
    return spent / max(1, done) * 1e6


async def _memory(calls: int = 1_000) -> float:
    """Resident octets for each call that rings, taken from the growth of the process."""
    settings = CallSettings(calls=10_000, calls_per_account=10_000)
    async with House(settings) as house:
        callee = house.phone(BOB)
        before = _resident()
        caller = house.phone(ALICE, registered=False)
        for number in range(calls):
            caller.call_id, caller.tag = f"call{number}", f"tag{number}"
            caller.call("sip:bob@tandem.test")
            if number % 50 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(30):
            while len(callee.inbox) < calls:
                await asyncio.sleep(0.01)
        return (_resident() - before) / calls


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run() -> list[tuple[str, float, str]]:
    configure("error")
    logging.disable(logging.WARNING)
    figures = [("memory of a ringing call, both test phones included", asyncio.run(_memory()) / 1024, "KiB")]
    if shutil.which("sipp"):
        b2bua = asyncio.run(_measure("127.0.74.2", 15_702, "bob", features=True))
        proxied = asyncio.run(_measure("127.0.74.3", 15_703, "bob", features=False))
        echo = asyncio.run(_measure("127.0.74.4", 15_704, "echo", features=True))
        figures += [
            ("call through the B2BUA", b2bua, "µs CPU"),
            ("call through the proxy", proxied, "µs CPU"),
            ("call answered by a native program (echo)", echo, "µs CPU"),
        ]
    return figures


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{name:55} {value:10.1f} {unit}")
