"""Scenes: the tools of sipvicious, unmodified, find that a server is there, but no account and no password."""

from __future__ import annotations

import asyncio
import re
import shutil

import pytest

from tests.interop.site import Everywhere
from tests.scenes.site import own_address

pytestmark = [
    pytest.mark.scene,
    pytest.mark.skipif(shutil.which("svwar") is None, reason="sipvicious is not installed"),
]


async def scan(site: Everywhere, tool: str, *arguments: str) -> str:
    """What a tool says of the site; it is stopped after 20 seconds."""
    own = own_address()
    process = await asyncio.create_subprocess_exec(
        tool, "-b", own, "-x", own, *arguments, "-p", str(site.sip_port), site.host,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    return output.decode(errors="replace")


def table(output: str) -> dict[str, str]:
    """The two columns of what was found."""
    return dict(re.findall(r"^\| (\S+) +\| (\S+) +\|$", output, re.MULTILINE))


METHODS = ("REGISTER", "INVITE", "OPTIONS")


async def test_they_find_a_server_that_does_not_name_itself_and_nobody_there(site: Everywhere) -> None:
    """200 is a program, 201 and 202 are accounts, the others nobody."""
    walks = (scan(site, "svwar", "-e", "198-204", "-m", method) for method in METHODS)
    servers, *outputs = await asyncio.gather(scan(site, "svmap"), *walks)
    assert table(servers) == {f"{site.host}:{site.sip_port}": "unknown"}
    for output in outputs:
        assert table(output).keys().isdisjoint({"200", "201", "202"}), output


@pytest.mark.proof
@pytest.mark.parametrize("method", METHODS)
async def test_forced_to_go_on_they_see_the_same_of_everybody(site: Everywhere, method: str) -> None:
    extensions = ("201", "200", "204")
    walks = (scan(site, "svwar", "--force", "-e", each, "-m", method) for each in extensions)
    outputs = await asyncio.gather(*walks)
    said = [table(output).get(each) for each, output in zip(extensions, outputs, strict=True)]
    assert len(set(said)) == 1, outputs
