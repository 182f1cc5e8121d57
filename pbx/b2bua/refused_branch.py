"""A branch that cannot begin: it has its final answer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.signal.answer import Answer
from pbx.signal.branch import Branch

if TYPE_CHECKING:
    from pbx.b2bua.call import Call


class RefusedBranch:
    """Answers with `status` when it is started; there is nothing to cancel then."""

    def __init__(self, call: Call, branch: Branch, status: int) -> None:
        self._call = call
        self._branch = branch
        self._status = status

    def start(self) -> None:
        self._call.signal.answer(self._branch, Answer(self._status))

    def cancel(self, reason: str | None) -> None: ...

    def discard(self) -> None: ...
