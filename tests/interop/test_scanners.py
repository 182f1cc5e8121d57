"""Scenes: the tools of sipvicious, unmodified, find that a server is there, but no account and no password."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

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
    """The two columns of what was found, without their titles."""
    return dict(re.findall(r"^\| (\S+) +\| (\S+) +\|$", output.rpartition("+=")[2], re.MULTILINE))


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


@pytest.mark.proof
async def test_svcrack_guesses_a_careless_password_and_no_other(site: Everywhere, tmp_path: Path) -> None:
    """Who guesses at once is let in, as a person who mistypes is; who goes through a list is shut out halfway."""
    password = await site.password("alice")
    careless, careful = tmp_path / "careless", tmp_path / "careful"
    careless.write_text(f"1234\n{password}\n")
    careful.write_text("".join(f"guess-{number}\n" for number in range(200)) + f"{password}\n")
    await site.tandem("network", "set", "BlockAfter", "12,10m")  # refusals come ever later: 50 take a while
    assert table(await scan(site, "svcrack", "-u", "alice", "-d", str(careless))) == {"alice": password}
    assert table(await scan(site, "svcrack", "-u", "alice", "-d", str(careful))) == {}
    assert await site.listing("network", "blocked")
