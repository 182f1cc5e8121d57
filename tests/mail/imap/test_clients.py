"""Real mail clients, unmodified, against the server: imaplib, aioimaplib, curl, mutt, mbsync."""

from __future__ import annotations

import asyncio
import imaplib
import mailbox
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import aioimaplib
import pytest

from mail.voice import build_voice_message
from tests.mail.imap.door import Client, Door, aside, client, open_door, program
from tests.mail.rooms import ALICE, DOMAIN, delivery

A = ALICE.id
PLAIN = b"From: Ann <ann@x>\r\nTo: alice@y\r\nSubject: Hello\r\nMessage-ID: <1@x>\r\n\r\nHi there\r\n"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path / "data") as door:
        yield door


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def leave_voice(door: Door) -> bytes:
    """Bob leaves alice a message, in the way that voicemail does."""
    wav = b"RIFF" + bytes(range(256)) * 40
    message = build_voice_message(
        to=ALICE.address,
        caller_name="Bob Báker",
        caller_uri=f"sip:bob@{DOMAIN}",
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=12,
        wav=wav,
        domain=DOMAIN,
    )
    await delivery(door.store).submit(f"bob@{DOMAIN}", [ALICE.address], message, queue_id="v1", voice=True)
    return wav


async def test_imaplib_reads_a_voice_message(door: Door) -> None:
    wav = await leave_voice(door)

    def read() -> bytes:
        with imaplib.IMAP4("127.0.0.1", door.port) as imap:
            imap.starttls(trusting())
            imap.login("alice", "wonder")
            assert imap.select("INBOX") == ("OK", [b"1"])
            assert imap.search(None, "UNSEEN") == ("OK", [b"1"])
            _, [(_, octets), _] = imap.fetch("1", "(RFC822)")
            imap.store("1", "+FLAGS", "(\\Deleted)")
            assert isinstance(octets, bytes)
            return octets

    message = message_from_bytes(await aside(read))
    assert message["Message-Context"] == "voice-message"
    assert message["Content-Duration"] == "12"
    text, audio = message.get_payload()
    assert "0:12" in text.get_payload(decode=True).decode()
    assert audio.get_content_type() == "audio/wav"
    assert audio.get_payload(decode=True) == wav
    assert await door.store.voice_counts(A) == (0, 0), "deleted ones are not counted"


async def test_imaplib_over_tls_does_the_round(door: Door) -> None:
    def work() -> None:
        with imaplib.IMAP4_SSL("127.0.0.1", door.tls_port, ssl_context=trusting()) as imap:
            imap.login("alice@" + DOMAIN, "wonder")
            imap.create("Work/2026")
            for number in range(5):
                imap.append("Work/2026", "(\\Seen)" if number % 2 else "", imaplib.Time2Internaldate(1e9), PLAIN)
            assert imap.select("Work/2026") == ("OK", [b"5"])
            _, [numbers] = imap.uid("SEARCH", "UNSEEN")
            assert numbers == b"1 3 5"
            assert imap.uid("COPY", "1:2", "Archive")[0] == "OK"
            assert imap.uid("MOVE", "3", "Trash")[0] == "OK"
            assert imap.response("EXPUNGE") == ("EXPUNGE", [b"3"])
            imap.store("1:2", "+FLAGS", "\\Deleted")
            assert imap.expunge() == ("OK", [b"2", b"1"])
            _, data = imap.fetch("1:*", "(UID FLAGS RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE)")
            assert len(data) == 2
            assert imap.status("Archive", "(MESSAGES)")[1] == [b"Archive (MESSAGES 2)"]
            imap.close()
            imap.rename("Work", "Done")
            _, folders = imap.list("Done", "*")
            assert len(folders) == 2

    await aside(work)


async def test_aioimaplib_idles(door: Door) -> None:
    imap = aioimaplib.IMAP4("127.0.0.1", door.port)
    await imap.wait_hello_from_server()
    await imap.login("alice", "wonder")
    await imap.select("INBOX")
    idle = await imap.idle_start(timeout=10)
    start = asyncio.get_running_loop().time()
    await leave_voice(door)
    pushed = await imap.wait_server_push(timeout=5)
    assert b"1 EXISTS" in pushed
    assert asyncio.get_running_loop().time() - start < 1
    imap.idle_done()
    await asyncio.wait_for(idle, 5)
    await imap.logout()


@needs("curl")
async def test_curl(door: Door, tmp_path: Path) -> None:
    await door.store.append(A, "INBOX", PLAIN)
    url = f"imap://127.0.0.1:{door.port}"
    status, output = await program("curl", "-sS", "-u", "alice:wonder", f"{url}/INBOX;MAILINDEX=1")
    assert (status, output) == (0, PLAIN)
    status, output = await program("curl", "-sS", "-k", "--ssl-reqd", "-u", "alice:wonder", f"{url}/INBOX;UID=1")
    assert (status, output) == (0, PLAIN)
    secure = f"imaps://127.0.0.1:{door.tls_port}"
    status, output = await program("curl", "-sSk", "-u", "alice:wonder", f"{secure}/", "-X", 'LIST "" "*"')
    assert status == 0
    assert b"INBOX" in output
    letter = tmp_path / "letter"
    letter.write_bytes(PLAIN)
    status, output = await program("curl", "-sSk", "-u", "alice:wonder", f"{secure}/Sent", "-T", str(letter))
    assert status == 0, output
    assert (await door.store.status(A, "Sent")).messages == 1


@needs("mutt")
async def test_mutt_reads_and_moves(door: Door, tmp_path: Path) -> None:
    await leave_voice(door)
    folder = f"imap://127.0.0.1:{door.port}/"
    settings = tmp_path / "muttrc"
    settings.write_text(
        "\n".join(
            (
                f'set folder="{folder}" spoolfile="{folder}INBOX"',
                "set imap_user=alice imap_pass=wonder ssl_starttls=no ssl_force_tls=no",
                "set sort=mailbox-order move=no delete=yes wait_key=no confirmappend=no auto_tag=yes quit=yes",
                f"set header_cache='' tmpdir='{tmp_path}' pipe_decode=no",
                f"push '<display-message><exit><pipe-message>cat > {tmp_path}/got<enter>"
                "<save-message>=Archive<enter>y<sync-mailbox><quit>'",
            )
        )
    )
    environment = {**os.environ, "TERM": "xterm", "HOME": str(tmp_path)}
    words = ("script", "-qec", f"mutt -F {settings} -n -f {folder}INBOX", "/dev/null")
    status, output = await program(*words, env=environment)
    assert status == 0, output
    got = message_from_bytes((tmp_path / "got").read_bytes())
    assert got["Subject"].startswith("Voice message from")
    assert (await door.store.status(A, "INBOX")).messages == 0
    (kept,) = await door.store.messages(A, "Archive")
    assert "\\Seen" in list(kept.flags)
    assert await door.store.voice_counts(A) == (0, 1)


@needs("mbsync")
async def test_mbsync_goes_both_ways(door: Door, tmp_path: Path) -> None:
    for number in range(20):
        await door.store.append(A, "INBOX", PLAIN.replace(b"<1@", b"<%d@" % number), flags=["\\Flagged"])
    await door.store.create(A, "Work/2026 Grüße")
    (tmp_path / "mail").mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(f"""IMAPAccount tandem
Host 127.0.0.1
Port {door.port}
User alice
Pass wonder
SSLType None
AuthMechs PLAIN

IMAPStore far
Account tandem

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")

    async def sync() -> None:
        status, output = await program("mbsync", "-c", str(settings), "-a", env={**os.environ, "HOME": str(tmp_path)})
        assert status == 0, output

    await sync()
    inbox = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
    assert len(inbox) == 20
    key, message = next(each for each in inbox.items() if each[1]["Message-ID"].startswith("<0@"))
    assert message.get_flags() == "F"
    message.add_flag("S")
    inbox[key] = message
    inbox.add(mailbox.MaildirMessage(b"From: me@x\r\nSubject: from here\r\n\r\nnew\r\n"))
    await door.store.set_flags(A, "INBOX", [7], ["\\Deleted"])
    await sync()
    found = await door.store.messages(A, "INBOX")
    assert len(found) == 20
    assert sum("\\Seen" in list(each.flags) for each in found) >= 1
    headers = await door.store.headers(A, found)
    assert any(b"from here" in (header or b"") for header in headers)
    assert len(mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)) == 20
    before = [(each.uid, each.modseq) for each in found]
    await sync()
    assert [(each.uid, each.modseq) for each in await door.store.messages(A, "INBOX")] == before, (
        "nothing is left to do"
    )


async def test_thunderbird_sequence(door: Door) -> None:
    """What Thunderbird 128 says when it opens an account, in its order."""
    await leave_voice(door)
    async with client(door.tls_port, login="", tls=True) as one:
        await one.ok("CAPABILITY")
        await one.ok("AUTHENTICATE PLAIN AGFsaWNlAHdvbmRlcg==")
        await one.ok('ID ("name" "Thunderbird" "version" "128.5.0")')
        await one.ok("NAMESPACE")
        await one.ok("ENABLE CONDSTORE")
        await one.ok('LIST (SUBSCRIBED) "" "INBOX" RETURN (SPECIAL-USE)')
        assert len(await one.ok('LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)')) == 6
        await one.ok('LIST "" "INBOX"')
        await one.ok('SELECT "INBOX" (CONDSTORE)')
        await one.ok("UID FETCH 1:* (FLAGS)")
        (head,) = await one.ok(
            "UID FETCH 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID "
            "Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"
        )
        assert b"voice-" in head
        (structure,) = await one.ok("UID FETCH 1 (BODYSTRUCTURE)")
        assert b'"audio" "wav"' in structure
        (body,) = await one.ok("UID FETCH 1 (UID RFC822.SIZE BODY[]<0.65536>)")
        assert b"FLAGS (\\Seen" in body
        await one.ok("UID STORE 1 +Flags (\\Deleted \\Seen)")
        await one.ok('UID COPY 1 "Trash"')
        await one.ok("NOOP")
        await one.ok('STATUS "Sent" (UIDNEXT MESSAGES UNSEEN RECENT)')
        await one.ok("EXPUNGE")
        one.say(b"9 IDLE\r\n")
        assert (await one.hear()).startswith(b"+")
        one.say(b"DONE\r\n")
        await one.until(b"9")
        await one.ok("CLOSE")
        assert (await one.ask("LOGOUT"))[-1].startswith(b"OK")


async def test_octets_before_tls_end_the_connection(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    one = Client(reader, writer)
    await one.hear()
    one.say(b"a STARTTLS\r\nb LOGIN alice wonder\r\n")
    assert (await one.hear()).startswith(b"a OK")
    with pytest.raises(ConnectionError):
        await one.hear()
    assert door.metrics.value("imap.injected_before_tls") == 1
    writer.close()
