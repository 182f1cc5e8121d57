"""The host built-ins, each seen from a program: small programs leave what they found as their application status."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default

import pytest

from base.values.kinds import Value
from base.values.text import parse_value
from directory.model import Right
from tests.apps.stage import DOMAIN, Stage, perform
from tests.apps.stage_leg import StageLeg


async def begin(stage: Stage, body: str, *, caller: str = "alice", declared: str = "") -> tuple[StageLeg, str]:
    stage.program("probe.sppr", f"{declared} entry Main is {body} Void(ReadInput(500)); end;")
    leg = stage.call("probe", "bob", caller, called="202")
    await asyncio.sleep(0.2)
    return leg, stage.host.running[-1].handle.number


async def status(stage: Stage, body: str, *, caller: str = "alice", seconds: float = 0.2, declared: str = "") -> Value:
    leg, _ = await begin(
        stage, f"result = null; {body} SetApplicationStatus(result);", caller=caller, declared=declared
    )
    await asyncio.sleep(seconds)
    result = next(task.status for task in stage.host.running if task.leg is leg)
    leg.hang_up()
    return result


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MyEmail()", '"bob@tandem.test"'),
        ("MyDomain()", '"tandem.test"'),
        ("RemoteAuthentication()", '"alice@tandem.test"'),
        ("RemoteURI()", '"sip:alice@tandem.test"'),
        ("IncomingRequestURI()", '"sip:202@tandem.test"'),
        ("RemoteIPAddress()", "#I[127.0.0.1]"),
        ("IsConnected()", "#NULL#"),
        ("PendingRequestData(`Call-ID`)", '"call-1"'),
        ("PendingRequestData(`max-forwards`)", "#69"),
        ("PendingRequestData(`User-Agent`)", '"Desk/1.0"'),
        ("PendingRequestData(`From`).(``)", '"alice@tandem.test"'),
        ("PendingRequestExData(`x-trunk`)", '("a", "b")'),
        ("PendingRequestExData(`X-Nothing`)", "#NULL#"),
        ("RouteLocalURI(`sip:201@tandem.test`)", '"alice@tandem.test"'),
        ("RouteLocalURI(`sip:nobody@tandem.test`)", "#NULL#"),
        ("RouteLocalURI(`sip:alice@far.example`)", "#NULL#"),
        ("RouteLocalURI(`rubbish`)", "#NULL#"),
        ("RouteAddress(`alice@far.example`, `signal`)", "{module=SIP;host=far.example;object=alice;}"),
        ("RouteAddress(`202`, `signal`)", "{module=LOCAL;host=tandem.test;object=bob;}"),
        ("RouteAddress(`nobody`, `signal`)", '"NO_SUCH_ACCOUNT"'),
        ("SIPURIToEmail(`sip:bob@there.example:5070;x=y`)", '"bob@there.example"'),
        ("SIPURIToEmail(`<sip:bob@there.example>`)", '"bob@there.example"'),
        ("SIPURIToEmail(`sip:there.example`)", "#NULL#"),
        ("EmailToSIPURI(`bob@there.example`)", '"sip:bob@there.example"'),
        ("PhoneNumberToSIPURI(`+1 (555) 12-34`)", '"sip:+15551234@tandem.test"'),
        ("ReadTelnums()", '("202")'),
        ("ReadTelnums(`nobody`)", "#NULL#"),
        ("GetAccountPreferences(`voicemaillimit`)", "#180"),
        ("GetAccountPreferences(`PIN`)", "#NULL#"),
        ("GetAccountPreferences(``).PIN", "#NULL#"),
        ("GetAccountPreferences(``).VoicemailAfter", "#30"),
        ("GetAccountPreferences(`~alice/VoicemailAfter`)", "#30"),
        ("GetAccountPreferences(`~pbx/VoicemailAfter`)", "#NULL#"),
        ("SetAccountPreferences(12, `voicemailAfter`)", "#NULL#"),
        ("SetAccountPreferences(`abc`, `VoicemailAfter`)", '"INVALID"'),
        ("Impersonate(`alice@tandem.test`)", "#NULL#"),
        ("Impersonate(`pbx@tandem.test`)", '"DENIED"'),
        ("Impersonate(`pbx@tandem.test`, `1234`)", '"NO_PIN"'),
        ("Impersonate(`bob`, `2022`)", "#NULL#"),
        ("GetLanguage()", "#NULL#"),
        ("IsData(ReadEnvirFile(`WELCOME.wav`))", "YES"),
        ("ReadEnvirFile(`nothing`)", "#NULL#"),
        ("WriteStorageFile(`a/b.txt`, `text`)", "#NULL#"),
        ("WriteStorageFile(`../up`, `text`)", '"INVALID"'),
        ("DeleteStorageFile(`none`)", '"NOT_FOUND"'),
        ("ReadStorageFile(`none`)", "#NULL#"),
        ("OpenMailbox(`Nowhere`)", '"NO_SUCH_MAILBOX"'),
        ("OpenMailbox(`~pbx/INBOX`)", '"NO_SUCH_MAILBOX"'),
        ("MailboxUIDs(OpenMailbox(`INBOX`), `Unseen`)", "()"),
        ("MediaOption(`recordSilence`)", "#0"),
        ("MediaOption(`mixerDelay`, 3)", '"NOT_SUPPORTED"'),
        ("AttachMixer(null)", '"NOT_SUPPORTED"'),
        ("SignalOption(`transferReport`, `YES`)", '"NO"'),
        ("StartCall(`sip:x@y`)", '"NOT_DISCONNECTED"'),
        ("TransferCall(`sip:x@y`)", '"NOT_CONNECTED"'),
        ("StartBridge(ThisTask())", '"NO_SUCH_TASK"'),
        ("BreakBridge()", '"NOT_BRIDGED"'),
        ("SendEvent(`x`, `hello`)", '"NOT_A_TASK"'),
        ("SendEvent(ThisTask(), `_disconnect`)", '"BAD_EVENT_NAME"'),
        ("IsTask(ThisTask())", "YES"),
        ("FindMeeting(null, `1`)", "#NULL#"),
        ("Enqueue(`q`)", "{length=#1;position=#0;}"),
        ("Enqueue(`q`, null, `high`)", "#NULL#"),
        ("ReadQueue(`q`)", "#NULL#"),
        ("SendDTMF(`12`)", '"BAD_DIGIT"'),
        ("AcceptCall()", "#NULL#"),
        ("ProvisionCall(null, null)", "#NULL#"),
    ],
)
def test_what_a_function_answers(expression: str, expected: str) -> None:
    async def play(stage: Stage) -> None:
        found = await status(stage, f"result = {expression};".replace("`", '"'))
        assert found == parse_value(expected)

    perform(play)


def test_nothing_of_another_domain_is_told_or_opened_by_a_pin() -> None:
    async def play(stage: Stage) -> None:
        await stage.directory.domain_book.create("other.test")
        otto = await stage.directory.create_account("other.test", "otto", "x", extension="202")
        await stage.directory.set_pin(otto.id, "4711")
        await stage.directory.create_group("other.test", "team", ["otto"])
        await stage.directory.create_forwarder(DOMAIN, "theirs", "team@other.test")
        await stage.directory.rights.set(stage.account("bob"), frozenset({Right.CAN_IMPERSONATE}))
        for expression, expected in (
            ("Impersonate(`otto@other.test`, `4711`)", '"DENIED"'),
            ("Impersonate(`otto@other.test`)", '"DENIED"'),
            ("Impersonate(`alice`)", "#NULL#"),  # of its own domain, by its right
            ("GetAccountPreferences(`Operator`, `otto@other.test`)", "#NULL#"),
            ("ReadTelnums(`otto@other.test`)", "#NULL#"),
            ("ReadGroupMembers(`theirs`)", "#NULL#"),
        ):
            found = await status(stage, f"result = {expression};".replace("`", '"'))
            assert found == parse_value(expected), expression

    perform(play)


def test_storage_files_there_and_back() -> None:
    async def play(stage: Stage) -> None:
        found = await status(
            stage,
            """Void(WriteStorageFile("a.txt", "hello"));
            Void(AppendStorageFile("a.txt", " world"));
            part = NewDictionary(); part.fileName = "a.txt"; part.position = 6; part.limit = 3;
            result = NewArray();
            AddElement(result, String(ReadStorageFile("a.txt")));
            AddElement(result, String(ReadStorageFile(part)));
            AddElement(result, ListStorageFiles("").("a.txt").STFileSize);
            part.position = "new";
            AddElement(result, WriteStorageFile(part, "x"));
            AddElement(result, DeleteStorageFile("a.txt"));
            AddElement(result, ReadSiteFile("a.txt"));""",
        )
        assert found == ["hello world", "wor", 11, "FILE_EXISTS", None, None]

    perform(play)


def test_digits_and_events_keep_their_order_and_cut_what_plays() -> None:
    async def play(stage: Stage) -> None:
        leg, _ = await begin(
            stage,
            """Void(AcceptCall()); PlayFile("holdmusic", -1);
            Void(SendEvent(ThisTask(), "hello", 5));
            PlayFile("welcome");
            buffered = DTMF();
            first = ReadInput(1); second = ReadInput(1); third = ReadInput(1); fourth = ReadInput(1);
            result = NewArray(); AddElement(result, buffered);
            AddElement(result, first); AddElement(result, second); AddElement(result, third.what);
            AddElement(result, third.parameter); AddElement(result, fourth);
            SetApplicationStatus(result);""",
        )
        await leg.hears("holdmusic")
        await asyncio.sleep(5)
        leg.press("12")
        await asyncio.sleep(3)
        assert stage.host.running[0].status == ["12", "1", "2", "hello", 5, None]
        assert "< welcome" not in leg.heard
        leg.hang_up()

    perform(play)


def test_interruption_can_be_switched_off_and_positions_are_known() -> None:
    async def play(stage: Stage) -> None:
        leg, _ = await begin(
            stage,
            """Void(AcceptCall()); Void(SetInterruptOnDTMF(null)); PlayFile("welcome");
            whole = IsPlayCompleted(); Void(SetInterruptOnDTMF(true)); ClearDTMF();
            PlayTone(440, 20000); SetApplicationStatus(String(GetPlayPosition()) + (whole ? " whole" : ""));
            Void(ReadInput(1));""",
        )
        await leg.hears("welcome")
        leg.press("1")
        await leg.hears("tone 440")
        await asyncio.sleep(4)
        leg.press("2")
        await asyncio.sleep(0.1)
        assert stage.host.running[0].status == "4000 whole"
        leg.hang_up()

    perform(play)


def test_meetings_bring_tasks_together() -> None:
    async def play(stage: Stage) -> None:
        stage.program(
            "park.sppr",
            """entry Main is Void(AcceptCall());
            Void(CreateMeeting("parking", "701", "lot")); Void(ActivateMeeting("parking", "701"));
            PlayFile("holdmusic", -1); Void(AcceptBridge(ReadInput(1))); Void(ReadInput(900)); end;""",
        )
        stage.program(
            "fetch.sppr",
            """entry Main is Void(AcceptCall()); meeting = FindMeeting("parking", "701");
            SetApplicationStatus(StartBridge(meeting.id)); Void(ReadInput(900));
            Void(BreakBridge()); PlayFile("goodbye"); end;""",
        )
        parked = stage.call("park", "bob", "alice")
        await parked.hears("holdmusic")
        fetcher = stage.call("fetch", "bob", "bob")
        await fetcher.told("= bridged with caller")
        fetcher.press("1")
        await fetcher.hears("goodbye")
        await parked.ended()
        await fetcher.ended()
        assert stage.services.meetings.find(stage.account("bob").id, "parking", "701") is not None
        found = await status(stage, 'result = FindMeeting("parking", "701").id;')
        assert found is None, "who has ended is not there any more"

    perform(play)


def test_a_bridge_can_be_rejected_and_offers_end_with_the_target() -> None:
    declared = """entry refusing is event = ReadInput(100); RejectBridge(event, "NOT_NOW"); end;
        entry leaving is Void(ReadInput(100)); end;"""

    async def play(stage: Stage) -> None:
        found = await status(
            stage,
            """Void(AcceptCall()); result = NewArray();
            AddElement(result, StartBridge(spawn refusing(1))); AddElement(result, StartBridge(spawn leaving(1)));
            AddElement(result, IsBridged());""",
            declared=declared,
        )
        assert found == ["NOT_NOW", "NOT_ANSWERED", None]

    perform(play)


def test_mail_from_a_program() -> None:
    async def play(stage: Stage) -> None:
        found = await status(
            stage,
            """headers = NewDictionary(); headers.To = "alice@tandem.test";
            headers.Subject = "Grüße\\r\\nBcc: eve@far.example";
            part = NewDictionary(); part.body = ReadEnvirFile("blank.wav"); part.("Content-Type") = "audio";
            part.("Content-Subtype") = "wav"; part.filename = "blank.wav";
            content = NewArray(); AddElement(content, "See the sound."); AddElement(content, part);
            result = NewArray(); AddElement(result, SubmitEMail(headers, content));
            AddElement(result, SendEMail("bob@tandem.test", "Hi", "eve@far.example", null, "x"));
            AddElement(result, SubmitEMail(headers, 5));""",
        )
        assert found == [None, "DENIED", "BAD_CONTENT"]
        [(_, octets)] = await stage.inbox("alice")
        message = message_from_bytes(octets, policy=default)
        assert message["Subject"] == "Grüße  Bcc: eve@far.example"
        assert message["Bcc"] is None
        assert message["From"] == "bob@tandem.test"
        assert [part.get_content_type() for part in message.walk()] == ["multipart/mixed", "text/plain", "audio/wav"]
        assert await stage.lamp("alice") == (0, 0), "no header makes it a voice message"

    perform(play)


def test_headers_of_a_message() -> None:
    async def play(stage: Stage) -> None:
        lines = (b'From: "A. Caller" <a@far.example>', b"Date: Tue, 14 Nov 2023 22:13:20 +0000", b"X-A: 1", b"X-A: 2")
        text = b"\r\n".join((*lines, b"", b"Hi", b""))
        await stage.delivery.submit("", [f"bob@{DOMAIN}"], text)
        found = await status(
            stage,
            """box = OpenMailbox("inbox"); uid = MailboxUIDs(box, "Unseen")[0]; message = OpenMessage(box, uid);
            result = NewArray();
            AddElement(result, MessageHeader(message, null, "From")[0].realName);
            AddElement(result, MessageHeader(message, null, "E-From"));
            AddElement(result, String(MessageHeader(message, null, "Date")[0]));
            AddElement(result, MessageHeader(message, null, "x-a"));
            AddElement(result, MessageHeader(message, null, "To"));
            AddElement(result, MailboxFlagsByUID(box, uid));
            AddElement(result, MailboxSetFlags(box, uid, "Flagged"));
            AddElement(result, MailboxSetFlags(box, uid, "Purple"));
            AddElement(result, MailboxUIDs(box, "Flagged,Unseen,NotMedia"));
            AddElement(result, OpenMessage(box, 99));""",
        )
        date = "14-11-2023_22:13:20"
        assert found == ["A. Caller", ["a@far.example"], date, ["1", "2"], None, "", None, "UNKNOWN_FLAG", [1], None]

    perform(play)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("RejectCall(486);", "= rejected 486"),
        ('RejectCall("603-no");', "= rejected 603"),
        ("RejectCall(200);", "= rejected 480"),
        ('RedirectCall("alice");', "= redirected to alice"),
        (
            'targets = NewArray(); AddElement(targets, "a"); AddElement(targets, "b"); ForkCall(targets);',
            "= forked to a b",
        ),
        ("d = NewDictionary(); d.responseCode = 183; d.media = true; Void(ProvisionCall(d));", "= 183"),
        ('Void(AcceptCall()); Void(TransferCall("sip:x@y"));', "= transferred to sip:x@y"),
        ('Void(AcceptCall()); Void(SendDTMF("5"));', "< digit 5"),
        (
            'd = NewDictionary(); d.("") = "x"; d.("Content-Type") = "text"; d.("Content-Subtype") = "plain";'
            "Void(AcceptCall()); Void(SendCallInfo(d));",
            "= info text/plain b'x'",
        ),
        ("Void(AcceptCall()); Disconnect();", "= over"),
    ],
)
def test_what_a_program_does_to_its_call(body: str, line: str) -> None:
    async def play(stage: Stage) -> None:
        leg, _ = await begin(stage, body)
        await leg.told(line)
        leg.hang_up()

    perform(play)


def test_events_from_the_leg_have_their_tests() -> None:
    async def play(stage: Stage) -> None:
        leg, _ = await begin(
            stage,
            """Void(AcceptCall()); Void(SignalOption("transferReport", "YES"));
            result = NewArray();
            for i = 0 while i < 4 by i += 1 loop
              event = ReadInput(100);
              AddElement(result, IsCallInfoEvent(event) ? event.parameter.("") : IsCallTransferredEvent(event)
                ? "transferred" : IsCallProvisionEvent(event) ? event.parameter
                : IsDisconnectEvent(event) ? "gone" : "?");
            end loop; SetApplicationStatus(result);""",
        )
        task = stage.host.running[0]
        task.leg_info("text/plain; charset=utf-8", b"note")
        task.leg_transferred()
        task.leg_provisioned(183)
        leg.hang_up()
        await asyncio.sleep(0.1)
        assert task.status == ["note", "transferred", 183, "gone"]

    perform(play)


def test_floods_are_bounded_and_counted() -> None:
    async def play(stage: Stage) -> None:
        leg, _ = await begin(stage, "Void(AcceptCall()); x = ReadInput(1); x = ReadInput(1); ")
        task = stage.host.running[0]
        for _ in range(500):
            task.leg_digit("1")
            task.leg_info("text/plain", b"x")
        assert len(task.inputs.digits) <= 50
        assert task.inputs.events <= 100
        assert stage.metrics.value("apps.digits.dropped") > 400
        assert stage.metrics.value("apps.events.dropped") > 300
        leg.hang_up()

    perform(play)
