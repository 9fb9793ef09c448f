"""Dates as HTTP (RFC 9110 section 5.6.7), listings (RFC 3339) and mail headers (RFC 5322) write them."""

from __future__ import annotations

import calendar
import re
import time
from datetime import UTC, date, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: What 64 bits hold: the years 1678 to 2261.
_MAX_NS = 1 << 63

_MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_MONTH = "(?P<month>" + "|".join(_MONTHS) + ")"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_SHORT = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"{_SHORT}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_LONG}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"{_SHORT} {_MONTH} (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})",
    )
)


def parse_http_date(value: str, now: float) -> int | None:
    """An HTTP-date in whole seconds since the epoch, or ``None`` when *value* is none.

    *now* (seconds since the epoch) settles the century of a two-digit year: one that seems more
    than 50 years ahead is past.
    """
    match = next((found for form in _FORMS if (found := form.fullmatch(value))), None)
    if match is None:
        return None
    year, month, day = int(match["year"]), _MONTHS[match["month"]], int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if len(match["year"]) == 2:
        year = _century(year, now)
    if hour > 23 or minute > 59 or second > 60:  # 60 is a leap second
        return None
    try:
        date(year, month, day)
    except ValueError:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _century(year: int, now: float) -> int:
    this_year = 1970 + int(now // 31_556_952)
    full = this_year - this_year % 100 + year
    return full - 100 if full > this_year + 50 else full


@lru_cache(maxsize=4096)  # files that were built or published together have few times
def write_http_date(seconds: int) -> str:
    """An IMF-fixdate, the only form that is sent: ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    return formatdate(seconds, usegmt=True)


@lru_cache(maxsize=4096)  # objects that were published together have few times
def parse_storage_date(value: str) -> int | None:
    """A date that a storage sent, in nanoseconds since the epoch; ``None`` when *value* is none.

    An HTTP-date, RFC 3339 (``2024-01-02T03:04:05.000Z``) or RFC 5322; without a zone it is UTC.
    """
    if (seconds := parse_http_date(value, time.time())) is not None:
        return seconds * 1_000_000_000
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = datetime_ns(parse(value))
            return moment if abs(moment) < _MAX_NS else None
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def datetime_ns(value: datetime) -> int:
    """*value* in nanoseconds since the epoch; without a zone it is UTC, never local time."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // _MICROSECOND * 1000
