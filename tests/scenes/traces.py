"""What a telephone of the scenes has sent and got, read from its own trace (`log` of `Telephone.start`)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path


async def traced(log: Path, pattern: str) -> re.Match[str]:
    """Wait until the trace matches; the last match."""
    async with asyncio.timeout(10):
        while (found := _last(log, pattern)) is None:
            await asyncio.sleep(0.05)
    return found


def _last(log: Path, pattern: str) -> re.Match[str] | None:
    text = log.read_text(errors="replace").replace("\r\n", "\n") if log.exists() else ""
    found = list(re.finditer(pattern, text, re.MULTILINE))
    return found[-1] if found else None


async def dialog_of(log: Path, status: int, *, called: bool) -> str:
    """The dialog of this response to an INVITE, as Replaces names it for the server: its tag comes first."""
    message = (await traced(log, rf"^SIP/2\.0 {status} (?:.+\n)+")).group()
    tags = [re.search(rf"^{name}:.*;tag=(\S+)", message, re.MULTILINE) for name in ("From", "To")]
    call_id = re.search(r"^Call-ID: *(\S+)", message, re.MULTILINE)
    assert call_id is not None
    caller, callee = ("" if tag is None else tag[1] for tag in tags)
    ours, own = (caller, callee) if called else (callee, caller)
    return f"{call_id[1]};to-tag={ours};from-tag={own}"
