"""Strict routers, which put the next hop into the Request-URI: their requests undone for us, ours done for them. Pure.

They are of RFC 2543; a loose router has `lr` and is left alone. RFC 3261 §16.4, §16.6 step 6, §16.12.
"""

from __future__ import annotations

from pbx.sipcore.message import Request
from pbx.sipcore.uri import NameAddress


def loosen(request: Request) -> None:
    """The Request-URI is a Record-Route of ours: it becomes the first Route, and the last Route the Request-URI
    (RFC 3261 §16.4). The routes have been screened."""
    *routes, last = request.get_all("Route")
    ours, request.uri = request.uri, NameAddress.parse(last).text
    _set(request, [f"<{ours}>", *routes])


def tighten(request: Request) -> None:
    """When the next hop is a strict router, it becomes the Request-URI, which goes to the end of Route
    (RFC 3261 §16.6 step 6)."""
    routes = request.get_all("Route")
    if routes and not (first := NameAddress.parse(routes[0])).uri.loose:
        target, request.uri = request.uri, first.text
        _set(request, [*routes[1:], f"<{target}>"])


def _set(request: Request, routes: list[str]) -> None:
    request.remove("Route")
    for value in routes:
        request.add("Route", value)
