"""Telling that a peer is behind a NAT from what it says and where it really sends from. Pure; it repairs nothing.

RFC 1918, RFC 6598 (shared address space), RFC 3927, RFC 4193; the signs are those that registrars in the field use.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)
def numeric(host: str) -> str | None:
    """The canonical text of a numeric address (brackets of IPv6 taken off), None when `host` is a name.

    RFC 5118 §4.10: the grammar of RFC 3261 puts three colons before an IPv4 address within an IPv6 one.
    """
    try:
        return str(ipaddress.ip_address(host.strip("[]").replace(":::", "::")))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def private(host: str) -> bool:
    """True for a numeric address that the public Internet does not route; False for names."""
    text = numeric(host)
    if text is None:
        return False
    address = ipaddress.ip_address(text)
    return address.is_multicast or not address.is_global


@lru_cache(maxsize=4096)
def beside(host: str) -> bool:
    """True for a numeric address that means this machine or this link, whoever says it: loopback, link-local,
    multicast, broadcast, unspecified."""
    text = numeric(host)
    if text is None:
        return False
    address = ipaddress.ip_address(text)
    address = getattr(address, "ipv4_mapped", None) or address
    kinds = (address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified)
    return any(kinds) or str(address) == "255.255.255.255"


def behind_nat(said: str, source: str) -> bool:
    """True when a peer whose messages come from `source` calls itself `said`, which cannot be reached as such.

    Both private and unlike counts too: a phone behind a second router in an office sends from that router's address.
    A name ending in `.invalid` (RFC 5626, browsers) is never reachable.
    """
    if said.lower().rstrip(".").endswith(".invalid"):
        return True
    text = numeric(said)
    if text is None or text == numeric(source):
        return False
    return private(text)


def media_behind_nat(sdp_address: str, source: str) -> bool:
    """True when the address in a session description is not one where media for this peer can be sent blindly.

    `0.0.0.0` (RFC 3264 §8.4, the old way to hold) is not a sign of anything.
    """
    if sdp_address in ("0.0.0.0", "::", ""):
        return False
    return behind_nat(sdp_address, source)
