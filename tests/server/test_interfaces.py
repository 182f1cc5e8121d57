"""Addresses that come and go while the server runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.interfaces import AddressWatch


async def test_what_came_and_what_went_is_told_once() -> None:
    there = {"192.0.2.1", "192.0.2.2"}
    told: asyncio.Queue[str] = asyncio.Queue()
    watch = AddressWatch(
        lambda host: told.put_nowait(f"+{host}"), lambda host: told.put_nowait(f"-{host}"), lambda: sorted(there)
    )
    ours, kernels = socket.socketpair()
    watch.start(ours)
    try:
        there |= {"2001:db8::1"}
        there -= {"192.0.2.1"}
        for _ in range(3):
            kernels.send(b"something")
        async with asyncio.timeout(10):
            assert [await told.get(), await told.get()] == ["+2001:db8::1", "-192.0.2.1"]
        watch.compare()
        assert told.empty()
    finally:
        watch.close()
        kernels.close()


SCRIPT = """
import asyncio, subprocess
from server.interfaces import AddressWatch

async def main():
    told = asyncio.Queue()
    watch = AddressWatch(lambda host: told.put_nowait("+" + host), lambda host: told.put_nowait("-" + host))
    watch.start()
    for change, expected in (("add", "+192.0.2.77"), ("del", "-192.0.2.77")):
        subprocess.run(["ip", "address", change, "192.0.2.77/24", "dev", "lo"], check=True)
        async with asyncio.timeout(10):
            while await told.get() != expected:
                pass
    watch.close()
    print("both told")

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_the_kernel_tells(tmp_path: Path) -> None:
    """In a network namespace of its own."""
    script = tmp_path / "watch.py"
    script.write_text(SCRIPT)
    command = f"ip link set lo up && exec {sys.executable} {script}"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", command],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert "both told" in done.stdout, done.stderr
