"""How a telephone is asked for its media, and how once more when it has refused (decision 6). Pure.

It writes no offer: LegMedia does. RFC 3261 §21.4.26, RFC 5763.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pbx.b2bua.translations import translatable
from pbx.sipcore.sdp import SessionDescription


@dataclass(frozen=True, slots=True)
class Asking:
    """`translating`: our codecs stand behind the caller's; `keys`: nothing but SDES is offered; `dtls`: nothing but
    DTLS-SRTP."""

    translating: bool = False
    keys: bool = False
    dtls: bool = False

    def after_refusal(
        self, asked: SessionDescription | None, *, translates: Callable[[], bool], keys: bool, dtls: bool
    ) -> Asking | None:
        """The next one: first with our codecs, then with those by SDES, then by DTLS-SRTP. None: there is no other.

        `asked` is the caller's offer, None when a program calls; `translates`: whether the media worker has the time
        for another one's codecs; `keys`, `dtls`: whether the telephone may have them, and has not been offered them."""
        if self == Asking() and asked is not None and translatable(asked) and translates():
            return Asking(translating=True)
        if keys and not self.keys and not self.dtls:
            return Asking(self.translating, keys=True)
        if dtls and not self.dtls:
            return Asking(self.translating, dtls=True)
        return None
