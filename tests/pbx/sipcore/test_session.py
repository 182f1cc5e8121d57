"""Session machines stepped by hand: 2xx until ACK, BYE, re-INVITE, glare, forked answers."""

from __future__ import annotations

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import SessionState, SessionTimers
from pbx.sipcore.session_uac import OutgoingInvite
from pbx.sipcore.session_uas import IncomingInvite
from pbx.sipcore.transactions import ClientTransaction, ClientUser, ServerTransaction, TransactionLayer

FLOW = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 5060))
CONTACT = "<sip:us@10.0.0.1:5060>"
PEER = "<sip:them@10.0.0.2:5060>"


class Play:
    """One machine under test above a real transaction layer; the peer is played by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sent: list[Request | Response] = []
        self.layer = TransactionLayer(self.clock, SeededEntropy(), self, self, Metrics())
        self.transactions: list[ServerTransaction] = []
        self.news: list[tuple[object, ...]] = []
        self.session: Session | None = None
        self.incoming: IncomingInvite | None = None
        self.offered: ServerTransaction | None = None
        self._branch = 0

    # the ports below and above

    def send(self, flow: Flow, data: bytes) -> None:
        self.sent.append(parse(data))

    def sent_by(self, flow: Flow) -> str:
        return "10.0.0.1:5060"

    def request(self, request: Request, flow: Flow, user: ClientUser) -> ClientTransaction:
        return self.layer.request(request, flow, user)

    def send_message(self, message: Request | Response, flow: Flow) -> None:
        message.insert_first("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKack")
        self.send(flow, message.encode())

    def on_request(self, transaction: ServerTransaction) -> None:
        self.transactions.append(transaction)
        if transaction.request.to_tag and self.session is not None:
            self.session.receive(transaction)

    def on_ack(self, request: Request, flow: Flow) -> None:
        if self.session is not None:
            self.session.receive_ack(request)

    def on_stray_response(self, response: Response, flow: Flow) -> None: ...

    # the user

    def session_offer(self, session: Session, transaction: ServerTransaction) -> None:
        self.news.append(("offer", transaction.request.method))
        self.offered = transaction

    def session_refreshed(self, session: Session, request: Request) -> None: ...

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        self.news.append((transaction.request.method,))
        session.answer(transaction, 200)

    def session_acknowledged(self, session: Session, request: Request) -> None:
        self.news.append(("ack", request.body))

    def session_answered(self, session: Session, request: Request) -> None:
        self.news.append(("answer", request.body))

    def session_ended(self, session: Session, cause: str) -> None:
        self.news.append(("ended", cause))

    def invite_cancelled(self, invite: IncomingInvite) -> None:
        self.news.append(("cancelled",))

    def invite_unheard(self, invite: IncomingInvite) -> None:
        self.news.append(("unheard",))

    def invite_progress(self, invite: OutgoingInvite, response: Response) -> None:
        self.news.append(("progress", response.status))

    def invite_offered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        self.news.append(("offered", response.status))
        self.session = session

    def invite_answered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        self.news.append(("answered", response.to_tag))
        self.session = session

    def invite_failed(self, invite: OutgoingInvite, status: int, response: Response | None) -> None:
        self.news.append(("failed", status))

    def change_answered(self, session: Session, response: Response) -> None:
        self.news.append(("renewed",))
        session.acknowledge_change(response)

    def change_refused(self, session: Session, status: int) -> None:
        self.news.append(("not renewed", status))

    # the peer

    def peer(
        self,
        method: str,
        number: int,
        *headers: tuple[str, str],
        tag: str | None = None,
        branch: str = "",
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> None:
        self._branch += 1
        request = Request(method, "sip:us@10.0.0.1")
        branch = branch or f"z9hG4bK{self._branch}"
        request.add("Via", f"SIP/2.0/UDP 10.0.0.2:5060;branch={branch};rport")
        request.add("Max-Forwards", "70")
        request.add("From", "<sip:them@example.org>;tag=them")
        request.add("To", "<sip:us@example.org>" + (f";tag={tag}" if tag else ""))
        request.add("Call-ID", "one")
        request.add("CSeq", f"{number} {method}")
        request.add("Contact", PEER)
        for name, value in headers:
            request.add(name, value)
        if body:
            request.set_body(body, content_type)
        self.layer.receive(parse(request.encode()), FLOW)

    def peer_in(self, call_id: str, method: str, number: int, session: Session, body: bytes = b"") -> None:
        """A request of the one whom we have called."""
        self._branch += 1
        request = Request(method, "sip:us@10.0.0.1")
        request.add("Via", f"SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKcallee{self._branch};rport")
        request.add("Max-Forwards", "70")
        request.add("From", f"<sip:them@example.org>;tag={session.dialog.remote_tag}")
        request.add("To", f"<sip:us@example.org>;tag={session.dialog.local_tag}")
        request.add("Call-ID", call_id)
        request.add("CSeq", f"{number} {method}")
        request.set_body(body, "application/sdp")
        self.layer.receive(parse(request.encode()), FLOW)

    def reply(
        self, request: Request, status: int, *headers: tuple[str, str], tag: str = "them", body: bytes = b""
    ) -> None:
        response = response_to(request, status, to_tag=tag, headers=headers)
        response.set("Contact", PEER)
        if body:
            response.set_body(body, "application/sdp")
        self.layer.receive(parse(response.encode()), FLOW)

    # what came out

    def responses(self, status: int) -> list[Response]:
        return [each for each in self.sent if isinstance(each, Response) and each.status == status]

    def requests(self, method: str) -> list[Request]:
        return [each for each in self.sent if isinstance(each, Request) and each.method == method]


def called(*headers: tuple[str, str], body: bytes = b"") -> tuple[Play, IncomingInvite]:
    """The peer has sent an INVITE."""
    play = Play()
    play.peer("INVITE", 1, *headers, branch="z9hG4bKinvite", body=body)
    invite = IncomingInvite(play.clock, play, play.transactions[0], CONTACT, play, SessionTimers())
    play.session, play.incoming = invite.session, invite
    return play, invite


def talking() -> tuple[Play, Session]:
    """The peer's INVITE is answered and acknowledged."""
    play, invite = called()
    session = invite.accept(b"")
    play.peer("ACK", 1, tag=session.dialog.local_tag)
    assert play.news == [("ack", b"")]
    play.news.clear()
    play.sent.clear()
    return play, session


def calling(body: bytes = b"") -> tuple[Play, OutgoingInvite]:
    """We have sent an INVITE."""
    play = Play()
    request = Request("INVITE", "sip:them@10.0.0.2")
    for name, value in (
        ("Max-Forwards", "70"),
        ("From", "<sip:us@example.org>;tag=us"),
        ("To", "<sip:them@example.org>"),
        ("Call-ID", "two"),
        ("CSeq", "1 INVITE"),
        ("Contact", CONTACT),
    ):
        request.add(name, value)
    if body:
        request.set_body(body, "application/sdp")
    invite = OutgoingInvite(play.clock, play, request, FLOW, CONTACT, play, SessionTimers())
    invite.start()
    return play, invite


def test_the_2xx_is_repeated_until_its_ack() -> None:
    """RFC 3261 §13.3.1.4: T1, doubling, at most T2."""
    play, invite = called()
    invite.accept(b"")
    moments = []
    for step in range(48):
        before = len(play.responses(200))
        play.clock.advance(0.25)
        if len(play.responses(200)) > before:
            moments.append((step + 1) / 4)
    assert moments[:5] == [0.5, 1.5, 3.5, 7.5, 11.5]
    play.peer("ACK", 1, tag=invite.session.dialog.local_tag)
    count = len(play.responses(200))
    play.clock.advance(60)
    assert len(play.responses(200)) == count
    assert play.news == [("ack", b"")]


def test_without_ack_the_session_ends_with_bye() -> None:
    play, invite = called()
    invite.accept(b"")
    play.clock.advance(33)
    assert len({request.cseq.number for request in play.requests("BYE")}) == 1
    assert play.news == [("ended", "no ACK")]
    assert invite.session.state is SessionState.ENDED


def test_bye_waits_for_the_ack_of_the_caller() -> None:
    """RFC 3261 §15: the callee's BYE must not precede the ACK."""
    play, invite = called()
    session = invite.accept(b"")
    session.bye()
    assert not play.requests("BYE")
    play.peer("ACK", 1, tag=session.dialog.local_tag)
    assert len(play.requests("BYE")) == 1
    assert not play.news


def test_provisionals_are_told_again_each_minute() -> None:
    """RFC 3261 §13.3.1.1."""
    play, invite = called()
    invite.provisional(180)
    play.clock.advance(125)
    assert len(play.responses(180)) == 3
    invite.reject(486)
    play.clock.advance(120)
    assert len(play.responses(180)) == 3


def test_cancel_gives_487_and_is_told_once() -> None:
    play, invite = called()
    invite.provisional(180)
    play.peer("CANCEL", 1, branch="z9hG4bKinvite")
    assert play.responses(487)
    assert play.news == [("cancelled",)]
    invite.reject(486)
    assert not play.responses(486)


def test_bye_on_the_early_dialog_ends_the_invite() -> None:
    """RFC 3261 §15.1.2."""
    play, invite = called()
    invite.provisional(180)
    play.peer("BYE", 2, tag=invite.session.dialog.local_tag)
    assert play.responses(200)
    assert play.responses(487)
    assert play.news == [("cancelled",)]


def test_bye_ends_the_session_once() -> None:
    play, session = talking()
    play.peer("BYE", 2, tag=session.dialog.local_tag)
    assert play.responses(200)
    assert play.news == [("ended", "BYE")]
    session.bye()
    assert not play.requests("BYE")
    play.peer("INFO", 3, tag=session.dialog.local_tag)
    assert play.responses(481)


def test_requests_out_of_order_are_refused() -> None:
    """RFC 3261 §12.2.2."""
    play, session = talking()
    play.peer("INFO", 5, tag=session.dialog.local_tag)
    play.peer("INFO", 4, tag=session.dialog.local_tag)
    assert play.news == [("INFO",)]
    assert play.responses(500)


def test_glare_of_two_reinvites() -> None:
    """RFC 3261 §14.2."""
    play, session = talking()
    session.changes.reinvite(b"", "", play)
    play.peer("INVITE", 2, tag=session.dialog.local_tag)
    assert play.responses(491)
    session.changes.reinvite(b"", "", play)
    assert play.news == [("not renewed", 491)]


def test_a_second_reinvite_before_the_first_is_answered() -> None:
    """RFC 3261 §14.2: 500 with Retry-After."""
    play, session = talking()
    play.peer("INVITE", 2, tag=session.dialog.local_tag)
    play.peer("INVITE", 3, tag=session.dialog.local_tag)
    assert play.responses(500)[0].get("Retry-After")
    assert play.news == [("offer", "INVITE")]


def test_our_reinvite_and_its_repeated_2xx() -> None:
    play, session = talking()
    session.changes.reinvite(b"", "", play)
    request = play.requests("INVITE")[0]
    play.reply(request, 200)
    play.reply(request, 200)
    assert play.news == [("renewed",)]
    assert len(play.requests("ACK")) == 2
    assert all(len(ack.get_all("Via")) == 1 for ack in play.requests("ACK"))


def test_a_reinvite_that_meets_nobody_ends_the_session() -> None:
    """RFC 3261 §12.2.1.2."""
    play, session = talking()
    session.changes.reinvite(b"", "", play)
    play.reply(play.requests("INVITE")[0], 481)
    assert play.news == [("not renewed", 481), ("ended", "no answer")]
    assert play.requests("BYE")


def test_180_and_200_back_to_back() -> None:
    play, _ = calling()
    request = play.requests("INVITE")[0]
    play.reply(request, 180)
    play.reply(request, 200)
    assert play.news == [("progress", 180), ("answered", "them")]


def test_each_2xx_is_acknowledged_again() -> None:
    """RFC 3261 §13.2.2.4."""
    play, invite = calling()
    request = play.requests("INVITE")[0]
    play.reply(request, 200)
    assert play.session is not None
    play.session.acknowledge(invite.number)
    play.reply(request, 200)
    play.reply(request, 200)
    assert len(play.requests("ACK")) == 3
    assert play.news == [("answered", "them")]


def test_a_second_dialog_is_acknowledged_and_ended() -> None:
    """RFC 3261 §13.2.2.4: forked further down."""
    play, invite = calling()
    request = play.requests("INVITE")[0]
    play.reply(request, 200, tag="first")
    assert play.session is not None
    play.session.acknowledge(invite.number)
    play.reply(request, 200, tag="second")
    assert [ack.to_tag for ack in play.requests("ACK")] == ["first", "second"]
    assert [bye.to_tag for bye in play.requests("BYE")] == ["second"]
    play.reply(request, 200, tag="second")
    assert len(play.requests("BYE")) == 1


def test_a_phone_that_rang_and_answers_second_is_ended_too() -> None:
    """RFC 3261 §13.2.2.4: its early dialog was there already."""
    play, invite = calling()
    request = play.requests("INVITE")[0]
    play.reply(request, 180, tag="first")
    play.reply(request, 180, tag="second")
    play.reply(request, 200, tag="first")
    assert play.session is not None
    play.session.acknowledge(invite.number)
    for _copy in range(2):
        play.reply(request, 200, tag="second")
    assert [ack.to_tag for ack in play.requests("ACK")] == ["first", "second", "second"]
    assert [bye.to_tag for bye in play.requests("BYE")] == ["second"]


def test_early_dialogs_are_bounded() -> None:
    play, invite = calling()
    request = play.requests("INVITE")[0]
    for number in range(50):
        play.reply(request, 180, tag=f"tag{number}")
    assert len(invite.sessions) == 10
    play.reply(request, 486)
    assert play.news[-1] == ("failed", 486)


def test_nobody_answers() -> None:
    play, _ = calling()
    play.clock.advance(33)
    assert play.news == [("failed", 408)]


def test_cancel_waits_for_a_provisional() -> None:
    """RFC 3261 §9.1."""
    play, invite = calling()
    invite.cancel("SIP;cause=200")
    assert not play.requests("CANCEL")
    request = play.requests("INVITE")[0]
    play.reply(request, 180)
    assert play.requests("CANCEL")[0].get("Reason") == "SIP;cause=200"
    play.reply(request, 487)
    assert play.news == [("progress", 180), ("failed", 487)]
