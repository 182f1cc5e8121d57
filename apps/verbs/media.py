"""Digits, playing and recording (PBXApp.html, "DTMF", "Media Playing", "Media Recording"; spec: cgpl-builtins §13)."""

from __future__ import annotations

from apps.running import RunningTask
from apps.verbs.verb import YES, Arguments, Verb, flag
from base.failures import Failure
from base.values.kinds import Value
from pbx.mediaproxy.engine import Clip
from pbx.programs import LegMode

# Limit: one recording, whatever the program asks for.
MAX_RECORD = 3600
_DIGITS = frozenset("0123456789*#ABCD")


def dtmf(task: RunningTask, args: Arguments) -> Value:
    return task.inputs.digits


def clear_dtmf(task: RunningTask, args: Arguments) -> Value:
    task.inputs.clear_digits()
    return None


def set_interrupt_on_dtmf(task: RunningTask, args: Arguments) -> Value:
    before, task.options.interrupt_on_digit = task.options.interrupt_on_digit, args[0] is not None
    return flag(before)


def send_dtmf(task: RunningTask, args: Arguments) -> Value:
    digit = args.text(0).upper()
    if digit not in _DIGITS or len(digit) != 1:
        return "BAD_DIGIT"
    if task.leg.mode is not LegMode.CONNECTED:
        return "NOT_CONNECTED"
    task.leg.send_digit(digit)
    return None


async def play_file(task: RunningTask, args: Arguments) -> Value:
    """A missing file is logged, and silent."""
    found = task.services.environment.find_sound(args.text(0), domain=task.account.domain, language=task.language)
    if found is None:
        task.services.metrics.count("apps.prompts.missing")
        task.log_to.warning("no_such_prompt", name=args.text(0)[:100])
        return None
    await _play(task, Clip(found.path, found.digest), args)
    return None


async def play(task: RunningTask, args: Arguments) -> Value:
    sound = args[0]
    if not isinstance(sound, bytes) or task.interrupted:
        task.position, task.completed = 0.0, False
        return None
    try:
        clip = await task.clip(sound)
    except Failure as failure:
        task.log_to.warning("cannot_play", reason=str(failure))
        return None
    await _play(task, clip, args)
    return None


async def _play(task: RunningTask, clip: Clip, args: Arguments) -> None:
    seconds: float | None = None
    if args[1] is not None:
        milliseconds = args.number(1)
        if milliseconds == 0:
            return
        seconds = milliseconds / 1000 if milliseconds > 0 else -1.0
    await task.play(lambda offset: task.leg.play(clip, seconds=seconds, offset=offset))


async def play_tone(task: RunningTask, args: Arguments) -> Value:
    frequency, milliseconds, second = args.number(0), args.number(1), args.number(2)
    if milliseconds > 0 and 0 <= frequency < 4000 and 0 <= second < 4000:
        await task.play(lambda offset: task.leg.tone(frequency, milliseconds / 1000, second))
    return None


def get_play_position(task: RunningTask, args: Arguments) -> Value:
    return int(task.position * 1000)


def set_play_position(task: RunningTask, args: Arguments) -> Value:
    """Where the next Play begins."""
    task.next_offset = max(0, args.number(0)) / 1000
    return None


def is_play_completed(task: RunningTask, args: Arguments) -> Value:
    return flag(task.completed)


async def record(task: RunningTask, args: Arguments) -> Value:
    """The WAV file as a datablock; null if suppressed; an error-code string when the disk is full."""
    return await task.record(float(min(args.number(0), MAX_RECORD)))


def media_option(task: RunningTask, args: Arguments) -> Value:
    """Ours are `recordSilence` (seconds of silence that end a recording; 0: none) and `keepRecordings` (`YES`: what is
    recorded is a message for the account, delivered even if the server dies)."""
    options, new = task.options, args[1]
    match args.text(0).lower():
        case "recordsilence":
            before: Value = int(options.record_silence)
            if new is not None:
                options.record_silence = float(min(max(args.number(1), 0), 60))
        case "keeprecordings":
            before = YES if options.keep_recordings else "NO"
            if new is not None:
                options.keep_recordings = args.text(1).upper() == YES
        case _:
            return "NOT_SUPPORTED"
    return before


def nothing(task: RunningTask, args: Arguments) -> Value:
    """Accepted, and without effect here."""
    return None


VERBS = (
    Verb("DTMF", "F", 0, 0, now=dtmf, environment="pbx"),
    Verb("ClearDTMF", "P", 0, 0, now=clear_dtmf, environment="pbx"),
    Verb("SetInterruptOnDTMF", "F", 1, 1, now=set_interrupt_on_dtmf, environment="pbx"),
    Verb("SendDTMF", "F", 1, 1, now=send_dtmf, environment="pbx"),
    Verb("PlayFile", "P", 1, 2, later=play_file, environment="pbx"),
    Verb("PlayFileInLoop", "P", 2, 2, later=play_file, environment="pbx"),
    Verb("Play", "P", 1, 2, later=play, environment="pbx"),
    Verb("PlayInLoop", "P", 2, 2, later=play, environment="pbx"),
    Verb("PlayTone", "P", 2, 4, later=play_tone, environment="pbx"),
    Verb("GetPlayPosition", "F", 0, 0, now=get_play_position, environment="pbx"),
    Verb("SetPlayPosition", "P", 1, 1, now=set_play_position, environment="pbx"),
    Verb("IsPlayCompleted", "F", 0, 0, now=is_play_completed, environment="pbx"),
    Verb("Record", "F", 1, 1, later=record, environment="pbx"),
    Verb("MediaOption", "F", 1, 2, now=media_option, environment="pbx"),
    Verb("SetDTMFReadMode", "P", 1, 1, now=nothing, environment="pbx"),
    Verb("SetDTMFSendMode", "P", 1, 1, now=nothing, environment="pbx"),
    Verb("ReleaseMediaChannel", "P", 0, 0, now=nothing, environment="pbx"),
)
