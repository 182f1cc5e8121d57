"""The rows that come with the program: devices known to need something. Data only.

Each says how sure we are: *tried* with the program itself in a test or by hand; *documented* by its maker or by other
servers; *remembered*, from reports in the field. A row that does harm is switched off with `tandem workaround remove`.
"""

from __future__ import annotations

from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Row


def _row(who: str, what: Workaround, note: str) -> Row:
    return Row(who, what, note, stock=True)


STOCK = (
    _row("Tandem*", Workaround.SHA_256, "tried: our own telephone takes the algorithm that it knows"),
    _row("Linphone*", Workaround.SHA_256, "remembered: its library belle-sip answers SHA-256"),
    _row("Cisco-CP79*", Workaround.NO_OPTIONS, "remembered: SIP firmware of the 7940 and 7960 logs each as an error"),
    _row("Cisco-CP79*", Workaround.NO_KEEPALIVE, "remembered: an empty line is reported as a malformed message"),
    _row("Cisco-CP79*", Workaround.NO_SESSION_TIMER, "remembered: some releases hang up at a refresh"),
    _row("Cisco ATA*", Workaround.FEW_HEADERS, "remembered: the ATA 186 and 188 drop requests of more than some 1000 "
         "octets"),
    _row("*Gigaset*", Workaround.REGISTER_OFTEN, "remembered: loses its way through routers between "
         "registrations"),
    _row("Cisco-SIPGateway*", Workaround.FULL_LR, "remembered: some releases of IOS lose `;lr` on its way into Route"),
)  # fmt: skip
