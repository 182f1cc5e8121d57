"""The telephone behind `tandem phone` and behind the scenes of the tests: pjsua2 in a process of its own.

It reads one JSON command a line on standard input and writes answers and events, one JSON object a line, on standard
output; it ends when its input does. Not part of the server: the library is GPL, an optional extra, and is reached over
this process border only. Run as `python -m tools.phone_engine`; `tools.phone.Telephone` is the other end.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

import pjsua2 as pj

Json = dict[str, object]

_STATES = {
    pj.PJSIP_INV_STATE_NULL: "null",
    pj.PJSIP_INV_STATE_CALLING: "calling",
    pj.PJSIP_INV_STATE_INCOMING: "incoming",
    pj.PJSIP_INV_STATE_EARLY: "early",
    pj.PJSIP_INV_STATE_CONNECTING: "connecting",
    pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
    pj.PJSIP_INV_STATE_DISCONNECTED: "disconnected",
}


class _Call(pj.Call):  # type: ignore[misc]
    """One call; its callbacks become events."""

    def __init__(self, phone: Phone, number: int, call_id: int) -> None:
        super().__init__(phone.account, call_id)
        self.phone = phone
        self.number = number
        self.media: pj.AudioMedia | None = None
        self.ended = False

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        info = self.getInfo()
        state = _STATES.get(info.state, "null")
        self.ended = state == "disconnected"
        self.phone.tell(
            "call",
            call=self.number,
            state=state,
            status=info.lastStatusCode,
            reason=info.lastReason,
            remote=info.remoteUri,
            local=info.localUri,
            call_id=info.callIdString,
        )
        if self.ended:
            self.media = None

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        info = self.getInfo()
        active = [
            item.index
            for item in info.media
            if item.type == pj.PJMEDIA_TYPE_AUDIO
            and item.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
        ]
        self.media = self.getAudioMedia(active[0]) if active else None
        self.phone.wire(self)
        self.phone.tell("media", call=self.number, active=self.media is not None)

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:
        self.phone.tell("digit", call=self.number, digit=prm.digit, method=prm.method, milliseconds=prm.duration)

    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:
        self.phone.tell(
            "transfer", call=self.number, status=prm.statusCode, reason=prm.reason, final=bool(prm.finalNotify)
        )

    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:
        prm.newCall = call = self.phone.adopt(pj.PJSUA_INVALID_ID)
        self.phone.tell("sent_on", call=self.number, to=prm.dstUri, new=call.number)

    def onCallReplaced(self, prm: pj.OnCallReplacedParam) -> None:
        prm.newCall = call = self.phone.adopt(prm.newCallId)
        self.phone.tell("replaced", call=self.number, new=call.number)


class _Account(pj.Account):  # type: ignore[misc]
    """The one line of the telephone."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def onRegState(self, prm: pj.OnRegStateParam) -> None:
        self.phone.tell("registration", status=prm.code, reason=prm.reason, expires=prm.expiration)

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        call = self.phone.adopt(prm.callId)
        info = call.getInfo()
        self.phone.tell(
            "incoming",
            call=call.number,
            remote=info.remoteUri,
            local=info.localUri,
            call_id=info.callIdString,
            message=prm.rdata.wholeMsg,
        )

    def onInstantMessage(self, prm: pj.OnInstantMessageParam) -> None:
        self.phone.tell("message", text=prm.msgBody, sender=prm.fromUri, kind=prm.contentType)

    def onInstantMessageStatus(self, prm: pj.OnInstantMessageStatusParam) -> None:
        self.phone.tell("message_sent", status=prm.code, text=prm.msgBody)

    def onMwiInfo(self, prm: pj.OnMwiInfoParam) -> None:
        text = str(prm.rdata.wholeMsg)
        waiting = re.search(r"(?im)^messages-waiting\s*:\s*(yes|no)", text)
        counts = re.search(r"(?im)^voice-message\s*:\s*(\d+)/(\d+)", text)
        self.phone.tell(
            "lamp",
            waiting=waiting is not None and waiting[1].lower() == "yes",
            new=int(counts[1]) if counts else 0,
            old=int(counts[2]) if counts else 0,
            message=text,
        )


class _Buddy(pj.Buddy):  # type: ignore[misc]
    """Somebody whose presence is watched."""

    def __init__(self, phone: Phone, uri: str) -> None:
        super().__init__()
        self.phone = phone
        self.uri = uri

    def onBuddyState(self) -> None:
        info = self.getInfo()
        status = info.presStatus
        self.phone.tell(
            "presence",
            who=self.uri,
            online=status.status == pj.PJSUA_BUDDY_STATUS_ONLINE,
            text=status.statusText,
            note=status.note,
            subscription=info.subStateName,
        )


class Phone:
    """The commands. Every method named in `COMMANDS` is called with the fields of its JSON object."""

    COMMANDS = (
        "start", "register", "unregister", "call", "ring", "answer", "hangup", "dtmf", "play", "stop_play",
        "record", "stop_record", "hold", "resume", "transfer", "attended", "statistics", "watch",
        "message", "appear", "quit",
    )  # fmt: skip

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.endpoint = pj.Endpoint()
        self.account: _Account | None = None
        self.calls: dict[int, _Call] = {}
        self.buddies: dict[str, _Buddy] = {}
        self.player: pj.AudioMediaPlayer | None = None
        self.recorder: pj.AudioMediaRecorder | None = None
        self.recording: str | None = None
        self.sound = False
        self.running = True
        self.registered = False

    # --- talking to the other end

    def tell(self, event: str, **fields: object) -> None:
        if event == "registration":
            self.registered = fields["status"] == 200 and bool(fields["expires"])
        self.write({"event": event, "time": time.time(), **fields})

    def write(self, item: Mapping[str, object]) -> None:
        self.out.write(json.dumps(item, default=str) + "\n")
        self.out.flush()

    def obey(self, line: str) -> None:
        """Run one command and answer it; a refusal of the library is an answer too."""
        command = json.loads(line)
        number, name = command.pop("id"), str(command.pop("do"))
        if name not in self.COMMANDS:
            self.write({"id": number, "error": f"no command {name}"})
            return
        try:
            result: Json = getattr(self, name)(**command) or {}
        except pj.Error as error:
            self.write({"id": number, "error": error.reason or error.title})
        except (TypeError, LookupError, ValueError, OSError) as error:
            self.write({"id": number, "error": f"{type(error).__name__}: {error}"})
        else:
            self.write({"id": number, "result": result})

    # --- commands

    def start(
        self,
        address: str,
        password: str,
        server: str,
        port: int,
        transport: str = "udp",
        bind: str = "127.0.0.1",
        user: str = "",
        local_port: int = 0,
        register: bool = True,
        expires: int = 300,
        lamp: bool = False,
        codecs: list[str] | None = None,
        ptime: int = 20,
        sound: bool = False,
        log: str = "",
        agent: str = "Tandem-Phone",
        naive: bool = False,
        publish: bool = False,
        srtp: str = "",
        reliable: str = "",
    ) -> None:
        self._start_library(bind, transport, local_port, ptime, sound, log, agent)
        if codecs is not None:
            self._choose_codecs(codecs)
        self.account = _Account(self)
        config = _account(address, user, password, server, port, transport, bind, register, expires, lamp)
        if naive:
            config.natConfig.contactRewriteUse = config.natConfig.viaRewriteUse = 0
        config.presConfig.publishEnabled = publish
        _encrypt(config, srtp)
        config.callConfig.prackUse = _PRACK[reliable]
        self.account.create(config, True)

    def _start_library(
        self, bind: str, transport: str, local_port: int, ptime: int, sound: bool, log: str, agent: str
    ) -> None:
        config = pj.EpConfig()
        config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
        config.uaConfig.userAgent = agent
        config.logConfig.consoleLevel, config.logConfig.level = 0, 5 if log else 0
        config.logConfig.filename, config.logConfig.msgLogging = log, 1 if log else 0
        media = config.medConfig
        media.clockRate = media.sndClockRate = 8000
        media.ecTailLen, media.noVad, media.ptime = 0, True, ptime
        media.threadCnt, media.hasIoqueue = 1, True
        self.endpoint.libCreate()
        self.endpoint.libInit(config)
        way = pj.TransportConfig()
        way.boundAddress, way.port = bind, local_port
        way.tlsConfig.method = pj.PJSIP_TLSV1_2_METHOD
        kinds = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
        self.endpoint.transportCreate(kinds[transport], way)
        devices = self.endpoint.audDevManager()
        self.sound = sound and devices.getDevCount() > 0
        if not self.sound:
            devices.setNullDev()
        self.endpoint.libStart()

    def _choose_codecs(self, names: list[str]) -> None:
        """Only these, in this order (`PCMA`, `PCMU/8000`)."""
        for info in self.endpoint.codecEnum2():
            rank = [place for place, name in enumerate(names) if info.codecId.upper().startswith(name.upper())]
            self.endpoint.codecSetPriority(info.codecId, 250 - rank[0] if rank else 0)

    def register(self) -> None:
        self._line().setRegistration(True)

    def unregister(self) -> None:
        self._line().setRegistration(False)

    def call(self, uri: str, headers: dict[str, str] | None = None) -> Json:
        call = self.adopt(pj.PJSUA_INVALID_ID)
        setting = pj.CallOpParam(True)
        setting.opt.audioCount, setting.opt.videoCount = 1, 0
        setting.txOption.headers = _headers(headers or {})
        try:
            call.makeCall(uri, setting)
        except pj.Error:
            del self.calls[call.number]
            raise
        return {"call": call.number}

    def ring(self, call: int = 0, status: int = 180) -> None:
        self._answer(call, status)

    def answer(self, call: int = 0, status: int = 200) -> None:
        self._answer(call, status)

    def _answer(self, call: int, status: int) -> None:
        setting = pj.CallOpParam(True)
        setting.opt.audioCount, setting.opt.videoCount = 1, 0
        setting.statusCode = status
        self._call(call).answer(setting)

    def hangup(self, call: int = 0, status: int = 0) -> None:
        setting = pj.CallOpParam()
        setting.statusCode = status
        self._call(call).hangup(setting)

    def dtmf(self, digits: str, call: int = 0, method: str = "rfc4733", milliseconds: int = 120) -> None:
        setting = pj.CallSendDtmfParam()
        setting.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if method == "info" else pj.PJSUA_DTMF_METHOD_RFC2833
        setting.digits, setting.duration = digits, milliseconds
        self._call(call).sendDtmf(setting)

    def play(self, path: str, loop: bool = False) -> None:
        self.stop_play()
        player = pj.AudioMediaPlayer()
        player.createPlayer(path, 0 if loop else pj.PJMEDIA_FILE_NO_LOOP)
        self.player = player
        self._wire_all()

    def stop_play(self) -> None:
        self.player = None

    def record(self, path: str) -> None:
        self.stop_record()
        recorder = pj.AudioMediaRecorder()
        recorder.createRecorder(path)
        self.recorder, self.recording = recorder, path
        self._wire_all()

    def stop_record(self) -> None:
        """Returns when the file is whole: the library closes it from its own clock, a little later."""
        path, self.recording = self.recording, None
        self.recorder = None
        begun = time.monotonic()
        while path is not None and time.monotonic() < begun + 1.0:
            self.endpoint.libHandleEvents(20)
            if time.monotonic() > begun + 0.1 and _whole(path):
                return

    def hold(self, call: int = 0) -> None:
        self._call(call).setHold(pj.CallOpParam(True))

    def resume(self, call: int = 0) -> None:
        setting = pj.CallOpParam(True)
        setting.opt.flag = pj.PJSUA_CALL_UNHOLD
        self._call(call).reinvite(setting)

    def transfer(self, uri: str, call: int = 0) -> None:
        self._call(call).xfer(uri, pj.CallOpParam(True))

    def attended(self, other: int, call: int = 0) -> None:
        self._call(call).xferReplaces(self._call(other), pj.CallOpParam(True))

    def statistics(self, call: int = 0) -> Json:
        found = self._call(call)
        stat = found.getStreamStat(0).rtcp
        info = found.getStreamInfo(0)
        return {
            "sent": stat.txStat.pkt,
            "received": stat.rxStat.pkt,
            "lost": stat.rxStat.loss,
            "codec": f"{info.codecName}/{info.codecClockRate}",
            "remote": info.remoteRtpAddress,
            "protocol": info.proto,
        }

    def watch(self, uri: str) -> None:
        buddy = _Buddy(self, uri)
        config = pj.BuddyConfig()
        config.uri, config.subscribe = uri, True
        buddy.create(self._line(), config)
        self.buddies[uri] = buddy

    def message(self, uri: str, text: str, kind: str = "text/plain") -> None:
        """To anybody: the library sends messages to buddies."""
        buddy = self.buddies.get(uri)
        if buddy is None:
            buddy = _Buddy(self, uri)
            config = pj.BuddyConfig()
            config.uri = uri
            buddy.create(self._line(), config)
            self.buddies[uri] = buddy
        letter = pj.SendInstantMessageParam()
        letter.content, letter.contentType = text, kind
        buddy.sendInstantMessage(letter)

    def appear(self, online: bool = True, note: str = "", activity: str = "") -> None:
        """Publish one's own presence (needs `publish` at the start)."""
        status = pj.PresenceStatus()
        status.status = pj.PJSUA_BUDDY_STATUS_ONLINE if online else pj.PJSUA_BUDDY_STATUS_OFFLINE
        status.note = note
        status.activity = {"away": pj.PJRPID_ACTIVITY_AWAY, "busy": pj.PJRPID_ACTIVITY_BUSY}.get(
            activity, pj.PJRPID_ACTIVITY_UNKNOWN
        )
        self._line().setOnlineStatus(status)

    def quit(self, unregister: bool = True) -> None:
        """Hang up, close files, leave the server politely; at most a second is given to all of that."""
        self.stop_play()
        self.stop_record()
        for call in list(self.calls.values()):
            if not call.ended:
                with contextlib.suppress(pj.Error):
                    call.hangup(pj.CallOpParam())
        if unregister and self.account is not None and self.registered:
            with contextlib.suppress(pj.Error):
                self.account.setRegistration(False)
        limit = time.monotonic() + 1.0
        while time.monotonic() < limit and (
            (unregister and self.registered) or any(not call.ended for call in self.calls.values())
        ):
            self.endpoint.libHandleEvents(10)
        self.running = False

    # --- inside

    def adopt(self, call_id: int) -> _Call:
        number = max(self.calls, default=0) + 1
        self.calls[number] = call = _Call(self, number, call_id)
        return call

    def wire(self, call: _Call) -> None:
        """Join the call's audio with whatever plays and records, and with the sound card when there is one."""
        media = call.media
        if media is None:
            return
        with _already():
            if self.player is not None:
                self.player.startTransmit(media)
        with _already():
            if self.recorder is not None:
                media.startTransmit(self.recorder)
        devices = self.endpoint.audDevManager()
        if self.sound:
            with _already():
                media.startTransmit(devices.getPlaybackDevMedia())
        with _already():
            if self.player is None:  # without a sound card this is silence: keys go out only while something is sent
                devices.getCaptureDevMedia().startTransmit(media)

    def _wire_all(self) -> None:
        for call in self.calls.values():
            self.wire(call)

    def _call(self, number: int) -> _Call:
        """A call by number; 0 is the newest one that has not ended."""
        if number:
            return self.calls[number]
        living = [call for call in self.calls.values() if not call.ended]
        if not living:
            raise LookupError("no call")
        return living[-1]

    def _line(self) -> _Account:
        if self.account is None:
            raise LookupError("not started")
        return self.account


_PRACK = {"": pj.PJSUA_100REL_NOT_USED, "optional": pj.PJSUA_100REL_OPTIONAL, "required": pj.PJSUA_100REL_MANDATORY}


def _account(
    address: str,
    user: str,
    password: str,
    server: str,
    port: int,
    transport: str,
    bind: str,
    register: bool,
    expires: int,
    lamp: bool,
) -> pj.AccountConfig:
    config = pj.AccountConfig()
    route = f"sip:{server}:{port};transport={transport}"
    config.idUri = f"sip:{address}"
    config.regConfig.registrarUri = f"{route}"
    config.regConfig.registerOnAdd = register
    config.regConfig.timeoutSec, config.regConfig.retryIntervalSec = expires, 0
    config.sipConfig.proxies = _strings(f"{route};lr")
    config.sipConfig.authCreds = _credentials(user or address.partition("@")[0], password)
    config.mwiConfig.enabled = lamp
    config.natConfig.udpKaIntervalSec = 0
    config.mediaConfig.transportConfig.boundAddress = bind
    return config


def _whole(path: str) -> bool:
    """Does the header of a WAV file name the length that it has?"""
    with open(path, "rb") as file:
        header = file.read(44)
        return len(header) == 44 and int.from_bytes(header[4:8], "little") + 8 == os.fstat(file.fileno()).st_size


def _strings(*items: str) -> pj.StringVector:
    vector = pj.StringVector()
    for item in items:
        vector.append(item)
    return vector


def _credentials(user: str, password: str) -> pj.AuthCredInfoVector:
    vector = pj.AuthCredInfoVector()
    vector.append(pj.AuthCredInfo("digest", "*", user, 0, password))
    return vector


def _encrypt(config: pj.AccountConfig, srtp: str) -> None:
    """`optional` or `required`, after a colon the suites that are wanted; empty: no SRTP."""
    use, _, suites = srtp.partition(":")
    if use:
        media = config.mediaConfig
        media.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if use == "required" else pj.PJMEDIA_SRTP_OPTIONAL
        media.srtpSecureSignaling = 0
        for name in filter(None, suites.split(",")):
            crypto = pj.SrtpCrypto()
            crypto.name = name
            media.srtpOpt.cryptos.append(crypto)


def _headers(headers: Mapping[str, str]) -> pj.SipHeaderVector:
    vector = pj.SipHeaderVector()
    for name, value in headers.items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        vector.append(header)
    return vector


@contextlib.contextmanager
def _already() -> Iterator[None]:
    """Joining twice what is joined is no fault."""
    with contextlib.suppress(pj.Error):
        yield


def _reader(lines: queue.Queue[str]) -> Callable[[], None]:
    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put("")

    return read


def main() -> None:
    """Serve one telephone until `quit` or the end of input."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the library writes to standard output too
    phone = Phone(out)
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_reader(lines), daemon=True).start()
    phone.write({"event": "ready"})
    while phone.running:
        with contextlib.suppress(queue.Empty):
            line = lines.get_nowait() if phone.account is not None else lines.get()
            if not line:
                phone.quit()
                break
            phone.obey(line)
        if phone.account is not None:
            phone.endpoint.libHandleEvents(10)
    out.flush()
    os._exit(0)  # the library's own way out takes a second and asserts on calls still referenced


if __name__ == "__main__":
    main()
