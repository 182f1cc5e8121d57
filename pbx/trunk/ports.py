"""What trunks need of the SIP stack (`pbx.transport.stack` is it)."""

from __future__ import annotations

from typing import Protocol

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.transaction_ports import ClientUser
from pbx.sipcore.uri import Uri


class Stack(Protocol):
    """Finds ways and sends requests on them."""

    async def flow_to(self, uri: Uri, *, configured: bool = False) -> Flow:
        """Raises Failure("unavailable")."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object: ...

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...
