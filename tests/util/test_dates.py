"""All three forms of an HTTP-date are read, nothing else is, and one is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.util.dates import parse_http_date, write_http_date

NOW = 1_800_000_000.0  # 2027
EXAMPLE = 784_111_777  # the RFC's own example


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE, id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE, id="RFC 850"),
        pytest.param("Sun Nov  6 08:49:37 1994", EXAMPLE, id="asctime"),
        pytest.param("Wednesday, 06-Nov-30 08:49:37 GMT", 1_920_185_377, id="two digits in the near future"),
        pytest.param("Tuesday, 06-Nov-90 08:49:37 GMT", 657_881_377, id="two digits too far ahead are past"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", 0, id="the epoch"),
        pytest.param("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800, id="a leap second"),
        pytest.param("Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE, id="a wrong weekday is overlooked"),
        pytest.param("Sun, 31 Feb 1994 08:49:37 GMT", None, id="a day that is not"),
        pytest.param("Sun, 06 Nov 1994 24:49:37 GMT", None, id="an hour that is not"),
        pytest.param("Sun, 06 Nov 0000 08:49:37 GMT", None, id="the year zero"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 +0000", None, id="an offset"),
        pytest.param("Sun, 6 Nov 1994 08:49:37 GMT", None, id="one digit where two belong"),
        pytest.param("sun, 06 nov 1994 08:49:37 gmt", None, id="names have a case"),
        pytest.param("1994-11-06T08:49:37Z", None, id="ISO 8601"),
        pytest.param("784111777", None, id="a number"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT, ", None, id="something behind"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_parse(value: str, expected: int | None) -> None:
    assert parse_http_date(value, NOW) == expected


@given(st.integers(0, 253_402_300_799))
def test_what_is_written_is_read_again(seconds: int) -> None:
    assert parse_http_date(write_http_date(seconds), NOW) == seconds


@given(st.text())
def test_nothing_raises(value: str) -> None:
    parse_http_date(value, NOW)
