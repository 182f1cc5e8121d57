"""Built-ins for timestamps. A timestamp has no zone: `GMTToLocal` and `LocalToGMT` move it by the task's offset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from base.values import FUTURE, PAST, TimeStamp, Value
from cgpl.builtins.arguments import flag
from cgpl.builtins.table import Builtin, Function
from cgpl.runtime import Task

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = 86_400


def is_date(_: Task, value: Value) -> Value:
    return flag(isinstance(value, TimeStamp))


def date(_: Task, value: Value) -> Value:
    """A timestamp; the start of day N for a number (0 and less are the remote ones); a text read."""
    match value:
        case TimeStamp():
            return value
        case int():
            if value == 0:
                return PAST
            return FUTURE if value < 0 else TimeStamp(value * _DAY)
        case str():
            return _read(value)
        case _:
            return None


def _read(text: str) -> TimeStamp | None:
    try:
        return TimeStamp.parse(text.removeprefix("#T"))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return _stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _stamp(moment: datetime) -> TimeStamp:
    return TimeStamp((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))


def gmt_time(task: Task) -> Value:
    return TimeStamp(int(task.host.wall()))


def local_time(task: Task) -> Value:
    return gmt_to_local(task, gmt_time(task))


def gmt_to_local(task: Task, value: Value) -> Value:
    if not isinstance(value, TimeStamp) or value.remote:
        return value if isinstance(value, TimeStamp) else None
    offset = value.moment().astimezone(_zone(task)).utcoffset()
    return value if offset is None else value.moved(int(offset.total_seconds()))


def local_to_gmt(task: Task, value: Value) -> Value:
    if not isinstance(value, TimeStamp) or value.remote:
        return value if isinstance(value, TimeStamp) else None
    naive = value.moment().replace(tzinfo=None)
    zone = _zone(task)
    try:
        return _stamp((naive.astimezone() if zone is None else naive.replace(tzinfo=zone)).astimezone(UTC))
    except (OverflowError, ValueError):
        return value


def _zone(task: Task) -> tzinfo | None:
    """The task's zone; None is the server's own."""
    return ZoneInfo(task.time_zone) if task.time_zone else None


def _part(of: Callable[[datetime], Value], past: Value, future: Value) -> Function:
    """A built-in that reads one part of a timestamp."""

    def read(_: Task, value: Value) -> Value:
        if not isinstance(value, TimeStamp):
            return None
        if value.remote:
            return past if value == PAST else future
        return of(value.moment())

    return read


def month(_: Task, value: Value) -> Value:
    """The name of a timestamp's month, or of month number 1 to 12."""
    if isinstance(value, int):
        return _MONTHS[value - 1] if 1 <= value <= 12 else None
    if not isinstance(value, TimeStamp) or value.remote:
        return None
    return _MONTHS[value.moment().month - 1]


def date_by_month_day(_: Task, year: Value, month_number: Value, day: Value) -> Value:
    if not isinstance(year, int) or not isinstance(month_number, int) or not isinstance(day, int):
        return None
    try:
        return _stamp(datetime(year, month_number, day, tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def date_by_year_day(_: Task, year: Value, day: Value) -> Value:
    if not isinstance(year, int) or not isinstance(day, int) or not 1 <= day <= 366:
        return None
    try:
        moment = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
    except (ValueError, OverflowError):
        return None
    return _stamp(moment) if moment.year == year else None


def date_number(_: Task, value: Value) -> Value:
    if not isinstance(value, TimeStamp):
        return None
    if value.remote:
        return 0 if value == PAST else -1
    return value.seconds // _DAY


BUILTINS = (
    Builtin("IsDate", "F", 1, 1, is_date),
    Builtin("Date", "F", 1, 1, date),
    Builtin("GMTTime", "F", 0, 0, gmt_time),
    Builtin("LocalTime", "F", 0, 0, local_time),
    Builtin("GMTToLocal", "F", 1, 1, gmt_to_local),
    Builtin("LocalToGMT", "F", 1, 1, local_to_gmt),
    Builtin("Year", "F", 1, 1, _part(lambda at: at.year, 0, 9999)),
    Builtin("Month", "F", 1, 1, month),
    Builtin("MonthNum", "F", 1, 1, _part(lambda at: at.month, 1, 12)),
    Builtin("MonthDay", "F", 1, 1, _part(lambda at: at.day, 1, 31)),
    Builtin("WeekDay", "F", 1, 1, _part(lambda at: _DAYS[at.weekday()], None, None)),
    Builtin("YearDay", "F", 1, 1, _part(lambda at: at.timetuple().tm_yday, 1, 365)),
    Builtin("TimeOfDay", "F", 1, 1, _part(lambda at: (at.hour * 60 + at.minute) * 60 + at.second, 0, _DAY - 1)),
    Builtin("DateNumber", "F", 1, 1, date_number),
    Builtin("Hour", "F", 1, 1, _part(lambda at: at.hour, 0, 9999)),
    Builtin("Minute", "F", 1, 1, _part(lambda at: at.minute, 0, 9999)),
    Builtin("Second", "F", 1, 1, _part(lambda at: at.second, 0, 9999)),
    Builtin("DateByMonthDay", "F", 3, 3, date_by_month_day),
    Builtin("DateByYearDay", "F", 2, 2, date_by_year_day),
)
