"""Tells the postmaster of a domain what he must know at once, by mail to his own mailbox here; and keeps the locks of
accounts that the toll guard has set. It decides nothing: `pbx.toll.guard` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from base.clock import Clock
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.directory import Directory
from directory.model import Account
from mail.delivery import Delivery

_log = get_logger("server")

_POSTMASTER = "postmaster"

_LOCKED = """\
Too many calls of {account} out of this server were refused, the last one, to

    {target}

because of: {reason}. That may be a telephone that dials wrong, or somebody who uses a
stolen password. No call of this account leaves the server any more; calls inside and
emergency calls go on.

To see what it did:       tandem calls
To give a new password:   tandem account password {account}
To let it call again:     tandem account unlock {account}
"""


class Postmaster:
    """`pbx.toll.guard.Alarm`. What it has begun ends with `close`."""

    def __init__(self, clock: Clock, metrics: Metrics, directory: Directory, delivery: Delivery) -> None:
        self._clock = clock
        self._metrics = metrics
        self._directory = directory
        self._delivery = delivery
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is under way: a mail takes a moment."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def locked(self, account: Account, reason: str, target: str) -> None:
        self._begin(self._keep_lock(account))
        self._begin(self._write(account, _LOCKED.format(account=account.address, target=target, reason=reason)))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_lock(self, account: Account) -> None:
        try:
            await self._directory.set_setting(account.id, "CallOutLocked", "YES")
        except Failure as failure:
            _log.error("lock not kept", account=account.address, cause=str(failure))

    async def _write(self, account: Account, text: str) -> None:
        """To the postmaster of the account's domain, else of the main domain."""
        domains = dict.fromkeys((account.domain, self._directory.main_domain))
        domain = next((each for each in domains if self._directory.find_account(each, _POSTMASTER)), "")
        now = self._clock.wall()
        try:
            await self._delivery.submit(
                "",
                [f"{_POSTMASTER}@{domain}"],
                _letter(domain, account, text, now),
                queue_id=f"toll-{account.id}-{int(now * 1000)}",
            )
        except Failure as failure:
            self._metrics.count("calls.toll.untold")
            _log.error("postmaster not told", account=account.address, cause=str(failure))


def _letter(domain: str, account: Account, text: str, now: float) -> bytes:
    letter = EmailMessage(policy=SMTP)
    letter["From"] = f"Tandem <{_POSTMASTER}@{domain}>"
    letter["To"] = f"{_POSTMASTER}@{domain}"
    letter["Subject"] = f"Calls out of {account.address} are locked"
    letter["Date"] = formatdate(now)
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5
    letter.set_content(text)
    return letter.as_bytes()
