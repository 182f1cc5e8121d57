"""The Request-URI under which an address of another server is asked for. Not where that server is
(`pbx.transport.locate`).

RFC 3261 §16.5: what is not ours goes on as it was dialled, with its scheme, port and parameters; only what the Router
or a rule has made of it is written anew.

Deviation: RFC 3261 §16.5 sends to the `maddr` of a Request-URI. It is taken off, for relay protection, locks and limits
have judged the host; so are headers, which §19.1.1 does not allow there.
"""

from __future__ import annotations

from directory import names
from directory.model import Address
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import Uri, wants_tls


def address_of(uri: Uri, domain: str) -> Address:
    """What a Request-URI means to the Router; `domain` in the place of its host."""
    return Address(uri.user, domain, uri.port or 0)


def foreign_uri(address: Address, dialled: str) -> str:
    """`dialled` (a Request-URI) when it means `address`, else a new one, as secure as it (RFC 3261 §16.6)."""
    try:
        asked = Uri.parse(dialled)
    except SipSyntaxError:
        asked = None
    if asked is not None and asked.is_sip and _same(address, asked):
        return str(_plain(asked)) if asked.headers or "maddr" in asked.params else dialled
    scheme = "sips" if wants_tls(dialled) else "sip"
    return str(Uri(scheme=scheme, user=address.local, host=address.domain, port=address.port or None))


def _plain(asked: Uri) -> Uri:
    return asked.replace(params={name: value for name, value in asked.params.items() if name != "maddr"}, headers={})


def _same(address: Address, asked: Uri) -> bool:
    host = names.plain_host(asked.host)
    return (asked.user, host, asked.port or 0) == (address.local, names.plain_host(address.domain), address.port)
