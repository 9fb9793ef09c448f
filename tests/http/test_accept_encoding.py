"""A coding is sent only to who asked for it, by quality, and never by a substring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetstore.http.request import AcceptEncoding

ALL = ("br", "zstd", "gzip")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, None, id="no header"),
        pytest.param("", None, id="an empty header"),
        pytest.param("gzip", "gzip", id="gzip"),
        pytest.param("gzip, deflate, br, zstd", "br", id="what a browser sends: ours first"),
        pytest.param("zstd, gzip", "zstd", id="zstd before gzip"),
        pytest.param("GZIP", "gzip", id="names have no case"),
        pytest.param("x-gzip", "gzip", id="an old name"),
        pytest.param("gzip;q=0", None, id="refused"),
        pytest.param("gzip;q=0.000", None, id="refused at length"),
        pytest.param("gzip;Q=0", None, id="refused in capitals"),
        pytest.param("br;q=0.5, gzip;q=0.8", "gzip", id="the most wanted"),
        pytest.param("br;q=0.5,gzip;q=0.5", "br", id="a draw is ours"),
        pytest.param("br ; q=0.5 , gzip", "gzip", id="blanks anywhere"),
        pytest.param("*", "br", id="anything"),
        pytest.param("*;q=0", None, id="nothing"),
        pytest.param("br;q=0, *", "zstd", id="anything but"),
        pytest.param("gzip, *;q=0", "gzip", id="only"),
        pytest.param("identity", None, id="only identity"),
        pytest.param("identity;q=0", None, id="not identity, and nothing else named"),
        pytest.param("identity;q=0, gzip", "gzip", id="not identity"),
        pytest.param("identity;q=0.5, gzip;q=0.4", None, id="identity is wanted more"),
        pytest.param("identity, gzip", "gzip", id="a draw with identity is for the smaller"),
        pytest.param("deflate", None, id="a coding we do not have"),
        pytest.param("notgzip, gzipped, g-zip", None, id="a substring is no match"),
        pytest.param("gzip;q=2", None, id="a quality that is none"),
        pytest.param("gzip;q=", None, id="an empty quality"),
        pytest.param("gzip;q=0.1234", None, id="four digits"),
        pytest.param("gzip;level=9", None, id="a parameter that is not q"),
        pytest.param(";q=1, ,,gzip", "gzip", id="faults are skipped"),
        pytest.param("gzip;q=0, gzip", None, id="the first word counts"),
        pytest.param("a," * 100_000 + "gzip", None, id="a list without end"),
        pytest.param("gzip" * 10_000, None, id="a name without end"),
    ],
)
def test_choose(header: str | None, expected: str | None) -> None:
    assert AcceptEncoding.from_header(header).choose(ALL) == expected


def test_only_what_is_available_is_chosen() -> None:
    assert AcceptEncoding.from_header("br, gzip").choose(("gzip",)) == "gzip"
    assert AcceptEncoding.from_header("br, gzip").choose(()) is None


@given(st.dictionaries(st.sampled_from([*ALL, "identity", "*"]), st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1))
def test_every_legal_header_is_read(qualities: dict[str, float]) -> None:
    header = ", ".join(name if q == 1 else f"{name};q={q:g}" for name, q in qualities.items())
    assert AcceptEncoding.from_header(header) == AcceptEncoding(qualities)


@given(st.one_of(st.text(), st.text("gzipbr*;q=0.1, \t")))
def test_nothing_raises_and_nothing_refused_is_chosen(header: str) -> None:
    accepted = AcceptEncoding.from_header(header)
    chosen = accepted.choose(ALL)
    assert chosen is None or accepted.quality(chosen) > 0
