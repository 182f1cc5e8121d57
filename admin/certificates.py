"""Acts about the certificates that every door with TLS shows."""

from __future__ import annotations

from datetime import UTC, datetime

from admin.acts import Act, Arguments
from admin.desk import Desk
from admin.ports import Json
from base.certificates import Shown
from base.failures import Failure
from directory.model import Right


def _row(shown: Shown) -> dict[str, Json]:
    ends = datetime.fromtimestamp(shown.expires_at, UTC)
    return {
        "folder": shown.folder,
        "names": ", ".join(shown.names),
        "issuer": shown.issuer,
        "expires": ends.isoformat(timespec="seconds"),
    }


async def _list(desk: Desk, arguments: Arguments) -> Json:
    if desk.certificates is None:
        raise Failure("unavailable", "this server has no certificates")
    return [_row(each) for each in desk.certificates.shown]


async def _reload(desk: Desk, arguments: Arguments) -> Json:
    if desk.certificates is None:
        raise Failure("unavailable", "this server has no certificates")
    return [_row(each) for each in await desk.certificates.reload()]


ACTS = (
    Act("certificates.list", "the certificates in use", Right.SETTINGS, _list),
    Act("certificates.reload", "read the certificate files again; connections stay", Right.SETTINGS, _reload),
)
