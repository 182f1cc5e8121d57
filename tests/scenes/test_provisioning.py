"""A telephone that knows nothing but its MAC address fetches its file, and registers with what stands in it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.scenes.site import Site

MAC = "001565123456"


async def fetch(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "curl", "-s", "-f", "-k", "-m", "10", *words, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_telephone_sets_itself_up(tmp_path: Path) -> None:
    ways = '[provisioning]\naddress = "127.0.0.1"\nhttp = 0\nhttps = 0\ntftp = 0\n'
    async with Site(tmp_path / "site", settings=ways) as site:
        ports = dict(re.findall(r"(https?|tftp)\s+127\.0\.0\.1:(\d+)", site.log()))
        file = f"http://127.0.0.1:{ports['http']}/{MAC}.cfg"
        assert (await fetch(file))[0] == 22  # curl: the answer was 404
        assert await fetch(file, "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: [") == (22, "404")
        assert (await site.listing("device", "list"))[0]["mac"] == "00:15:65:12:34:56"
        await site.password("alice")
        await site.tandem("setting", "set", "alice", "PhoneKeys", "Bob=202,Home=speed:+4930123")
        made = await site.tandem("device", "add", "alice", MAC, "--host", "127.0.0.1")
        status, text = await fetch(file, "-A", f"Yealink SIP-T46S 66.85.0.5 {MAC}")
        assert status == 0
        told = dict(re.findall(r"^(\S+) = (.*)$", text, re.MULTILINE))
        assert told["linekey.2.label"] == "Bob"
        async with await site.phone(told["account.1.user_name"], told["account.1.password"]):
            assert [row["account"] for row in await site.listing("registrations")] == ["alice@tandem.test"]
        token = re.sub(r":\d+/", f":{ports['https']}/", made.partition("provisioning URL: ")[2].split()[0], count=1)
        assert token.startswith("https://127.0.0.1:")
        assert "transport_type = 2" in (await fetch(token))[1]
        assert (await fetch(f"tftp://127.0.0.1:{ports['tftp']}/{MAC}.cfg"))[1] == text
