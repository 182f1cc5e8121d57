"""The mail store in the shape in which programs use it (`apps.ports.Letters`). Not here: any rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from apps.ports import MessageFacts
from mail.store import MailStore
from mail.store.model import FlagAction

# Limit: octets of one message that a program looks into; a voice message of three minutes has 4 MB.
MAX_MESSAGE = 16 * 1024 * 1024


class StoredLetters:
    """`Letters` over the store."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def listing(self, account_id: int, mailbox: str) -> Sequence[MessageFacts]:
        return [
            MessageFacts(
                message.uid,
                frozenset(message.flags),
                message.voice,
                datetime.fromtimestamp(message.internal_date, UTC),
            )
            for message in await self._store.messages(account_id, mailbox)
        ]

    async def message(self, account_id: int, mailbox: str, uid: int) -> bytes | None:
        for message in await self._store.messages(account_id, mailbox, [uid]):
            return await self._store.octets(account_id, message, 0, min(message.size, MAX_MESSAGE))
        return None

    async def change_flags(
        self, account_id: int, mailbox: str, uids: Sequence[int], *, add: Sequence[str], remove: Sequence[str]
    ) -> None:
        if add:
            await self._store.set_flags(account_id, mailbox, uids, add, FlagAction.ADD)
        if remove:
            await self._store.set_flags(account_id, mailbox, uids, remove, FlagAction.REMOVE)

    async def expunge(self, account_id: int, mailbox: str) -> None:
        await self._store.expunge(account_id, mailbox)

    async def move(self, account_id: int, mailbox: str, uids: Sequence[int], target: str) -> None:
        await self._store.move(account_id, mailbox, uids, target)

    async def copy(self, account_id: int, mailbox: str, uids: Sequence[int], target: str) -> None:
        await self._store.copy(account_id, mailbox, uids, target)
