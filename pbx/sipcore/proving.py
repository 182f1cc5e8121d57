"""Requests of ours that the peer challenges: who answers for us, and one request within a dialog that is sent again.

RFC 3261 §22.1 (a challenge is answered with a higher CSeq), §22.2, §22.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pbx.sipcore.message import Request, Response
from pbx.sipcore.transaction_ports import Cause, ClientUser

PROOFS = ("Authorization", "Proxy-Authorization")


class Proof(Protocol):
    """Of one request."""

    def answer(self, request: Request, response: Response) -> bool:
        """Put credentials on the request for the challenge in the response; False when that is no use."""


class Prover(Protocol):
    """Has a login where the requests of a call go."""

    def prove(self, request: Request) -> Proof:
        """Put credentials on a new request, as far as the challenges are known already."""


def challenges(response: Response) -> bool:
    return response.status in (401, 407)


class Proved:
    """One request within a dialog. `again` sends it with its new credentials, unless the dialog has ended meanwhile."""

    def __init__(self, request: Request, user: ClientUser, proof: Proof, again: Callable[[Proved], bool]) -> None:
        self._user = user
        self._proof = proof
        self._again = again
        self.request = request

    def on_response(self, response: Response) -> None:
        if challenges(response) and self._proof.answer(self.request, response) and self._again(self):
            return
        self._user.on_response(response)

    def on_failure(self, cause: Cause) -> None:
        self._user.on_failure(cause)
