"""Dialogs: RFC 3261 §12, §16.12."""

from __future__ import annotations

from pbx.sipcore.dialog import Dialog, id_of_request, id_of_response, next_hop
from pbx.sipcore.message import Request, Response, response_to


def invite() -> Request:
    request = Request("INVITE", "sip:bob@house.example")
    for name, value in (
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("From", '"Alice" <sip:alice@house.example>;tag=a'),
        ("To", "<sip:bob@house.example>"),
        ("Call-ID", "c1"),
        ("CSeq", "7 INVITE"),
        ("Contact", "<sip:alice@192.0.2.1:5070>"),
    ):
        request.add(name, value)
    return request


def answered(status: int = 200, tag: str = "b", *routes: str, contact: str | None = "<sip:bob@192.0.2.2>") -> Response:
    response = response_to(invite(), status, to_tag=tag)
    for route in routes:
        response.add("Record-Route", route)
    if contact is not None:
        response.add("Contact", contact)
    return response


def test_the_caller_side_speaks_to_the_contact() -> None:
    dialog = Dialog.uac(invite(), answered())
    bye = dialog.new_request("BYE")
    assert (bye.uri, str(bye.cseq), bye.get_all("Route")) == ("sip:bob@192.0.2.2", "8 BYE", [])
    assert bye.get("From") == '"Alice" <sip:alice@house.example>;tag=a'
    assert bye.get("To") == "<sip:bob@house.example>;tag=b"
    assert bye.get("Contact") is None, "BYE refreshes nothing"
    assert dialog.new_request("INVITE").get("Contact") == "<sip:alice@192.0.2.1:5070>"


def test_both_sides_name_the_same_dialog() -> None:
    caller = Dialog.uac(invite(), answered())
    called = Dialog.uas(invite(), "b", "<sip:bob@192.0.2.2>")
    assert caller.id == id_of_response(answered()) == ("c1", "a", "b")
    assert called.id == id_of_request(caller.new_request("BYE")) == ("c1", "b", "a")
    assert caller.matches(called.new_request("BYE"))
    assert called.matches(caller.new_request("BYE"))
    assert not called.matches(called.new_request("BYE"))


def test_route_sets() -> None:
    """§12.1.1: the called side takes Record-Route in order; §12.1.2: the caller in reverse."""
    request = invite()
    request.add("Record-Route", "<sip:p2.example;lr>, <sip:p1.example;lr>")
    called = Dialog.uas(request, "b")
    assert called.new_request("BYE").get_all("Route") == ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]
    caller = Dialog.uac(invite(), answered(200, "b", "<sip:p2.example;lr>", "<sip:p1.example;lr>"))
    bye = caller.new_request("BYE")
    assert bye.get_all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert str(next_hop(bye)) == "sip:p1.example;lr"


def test_a_strict_router_goes_into_the_request_uri() -> None:
    """§12.2.1.1, the second half."""
    dialog = Dialog.uac(invite(), answered(200, "b", "<sip:loose.example;lr>", "<sip:strict.example?x=y>"))
    bye = dialog.new_request("BYE")
    assert bye.uri == "sip:strict.example"
    assert bye.get_all("Route") == ["<sip:loose.example;lr>", "<sip:bob@192.0.2.2>"]
    strict = Dialog.uac(invite(), answered(200, "b", "<sip:strict.example>")).new_request("BYE")
    assert str(next_hop(strict)) == "sip:strict.example"


def test_the_2xx_fixes_the_route_set_of_an_early_dialog() -> None:
    """§13.2.2.4."""
    dialog = Dialog.uac(invite(), answered(180, "b", "<sip:early.example;lr>", contact=None))
    assert (dialog.confirmed, dialog.remote_target) == (False, "sip:bob@house.example")
    dialog.take(answered(200, "b", "<sip:late.example;lr>"))
    assert (dialog.confirmed, dialog.remote_target) == (True, "sip:bob@192.0.2.2")
    assert dialog.route_set == ("<sip:late.example;lr>",)


def test_the_ack_has_the_number_of_its_invite() -> None:
    dialog = Dialog.uac(invite(), answered())
    dialog.new_request("INFO")
    ack = dialog.ack(7)
    assert (str(ack.cseq), ack.get("Contact")) == ("7 ACK", None)


def test_requests_out_of_order_are_refused() -> None:
    """§12.2.2."""
    caller, called = Dialog.uac(invite(), answered()), Dialog.uas(invite(), "b")
    first, second = caller.new_request("INFO"), caller.new_request("INFO")
    assert called.accepts(second)
    assert not called.accepts(first)
    assert not called.accepts(second)
    assert called.accepts(caller.ack(7)), "an ACK has an old number"
    assert called.accepts(caller.new_request("BYE"))


def test_a_target_refresh_moves_the_target() -> None:
    """§12.2.2: INVITE does, INFO does not."""
    caller, called = Dialog.uac(invite(), answered()), Dialog.uas(invite(), "b")
    info = caller.new_request("INFO")
    info.add("Contact", "<sip:elsewhere@192.0.2.9>")
    called.accepts(info)
    assert called.remote_target == "sip:alice@192.0.2.1:5070"
    caller.contact = "<sip:alice@192.0.2.1:6000>"
    called.accepts(caller.new_request("INVITE"))
    assert called.new_request("BYE").uri == "sip:alice@192.0.2.1:6000"


def test_a_contact_that_cannot_be_read_leaves_the_target() -> None:
    assert Dialog.uac(invite(), answered(contact="<bad")).remote_target == "sip:bob@house.example"
    assert Dialog.uac(invite(), answered(contact="<mailto:bob@x>")).remote_target == "sip:bob@house.example"


def test_the_contact_is_used_as_it_was_sent() -> None:
    contact = "<sip:b%6Fb@192.0.2.2;ob;X-id=A%20b>"
    assert Dialog.uac(invite(), answered(contact=contact)).new_request("BYE").uri == contact[1:-1]


def test_a_peer_without_tags() -> None:
    """RFC 2543 peers: a missing tag is an empty one (§12.1.1)."""
    request = invite()
    request.set("From", "<sip:alice@house.example>")
    bye = Dialog.uas(request, "b").new_request("BYE")
    assert (bye.get("To"), bye.to_tag, bye.from_tag) == ("<sip:alice@house.example>", "", "b")
    assert str(bye.cseq) == "1 BYE"


def test_next_hop_without_routes_is_the_request_uri() -> None:
    assert next_hop(invite()).host == "house.example"
