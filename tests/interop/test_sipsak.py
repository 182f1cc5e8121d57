"""Scenes: sipsak, unmodified: is somebody there, may I register, a bounded flood, and no way through to others."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from tests.interop.site import Everywhere
from tests.scenes.site import DOMAIN

pytestmark = [pytest.mark.scene, pytest.mark.skipif(shutil.which("sipsak") is None, reason="sipsak is not installed")]


async def sipsak(*arguments: str, seconds: float = 20.0) -> tuple[int, str]:
    """Its exit status and what it said; it is stopped after so long."""
    process = await asyncio.create_subprocess_exec(
        "sipsak", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


async def test_sipsak(site: Everywhere) -> None:
    password = await site.password("alice")
    server = f"{site.host}:{site.sip_port}"
    there, said = await sipsak("-vv", "-s", f"sip:{server}")
    assert (there, "SIP/2.0 200" in said) == (0, True), said

    contact = f"sip:alice@{site.host}:9"
    login = ("-U", "-u", "alice", "-C", contact, "-x", "3600", "-p", server, "-s", f"sip:alice@{DOMAIN}")
    registered, said = await sipsak("-vv", *login, "-a", password)
    assert registered == 0, said
    listed = await site.listing("registrations")
    assert [entry["contact"] for entry in listed] == [contact]
    wrong, said = await sipsak("-vv", *login, "-a", "guess")
    assert wrong != 0, said

    # To another server, without proof: whatever is said, it is no success and nothing leaves.
    outside, said = await sipsak("-vv", "-M", "-B", "hello", "-p", server, "-s", "sip:somebody@192.0.2.7")
    assert outside != 0, said
    assert "SIP/2.0 2" not in said


@pytest.mark.parametrize("requests", [2000, pytest.param(100_000, marks=pytest.mark.proof)])
async def test_a_flood_is_survived(site: Everywhere, requests: int) -> None:
    server = f"{site.host}:{site.sip_port}"
    await sipsak("-F", "-e", str(requests), "-s", f"sip:{server}", seconds=60)
    said = ""
    for _ in range(30):
        there, said = await sipsak("-vv", "-s", f"sip:{server}")
        if there == 0:
            break
        assert "SIP/2.0 503" in said, said  # busy with the rest of it, and it says so
        await asyncio.sleep(1)
    assert "SIP/2.0 200" in said, said
    assert "Traceback" not in site.log()
