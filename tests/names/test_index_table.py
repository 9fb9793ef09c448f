"""A listing held small tells what was listed, and is asked while it grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assetstore.backends.base import FileStat
from assetstore.names.listing import Table

MD5 = "0123456789abcdef0123456789abcdef"

stats = st.builds(
    FileStat,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.integers(0, 2**63),
    st.none() | st.integers(-(2**62), 2**62),
    st.none() | st.just(MD5) | st.just("0" * 32) | st.just(MD5 + "-3") | st.just(MD5.upper()) | st.text(min_size=1),
)


@given(st.lists(stats, unique_by=lambda stat: stat.path))
def test_whatever_was_listed_is_found_as_it_was(listed: list[FileStat]) -> None:
    table = Table.of(listed)
    assert sorted(table, key=lambda stat: stat.path) == sorted(listed, key=lambda stat: stat.path)
    assert [table.find(stat.path) for stat in listed] == listed
    assert table.find("not \x00 listed") is None
    assert table == Table.of(reversed(listed))


def test_a_growing_table_answers_for_the_rows_it_has() -> None:
    table = Table()
    assert table.find("a") is None
    for name in ("a", "b", "c"):
        assert table.append(FileStat(name, 1))
        assert table.find(name) == FileStat(name, 1)


def test_a_row_out_of_order_is_refused_and_a_repeated_one_is_none() -> None:
    table = Table()
    assert table.append(FileStat("b", 1))
    assert not table.append(FileStat("a", 1))
    assert table.append(FileStat("b", 2))
    assert list(table) == [FileStat("b", 1)]


def test_tables_differ_when_one_validator_does() -> None:
    assert Table.of([FileStat("a", 1, 5, MD5)]) != Table.of([FileStat("a", 1, 5, "f" * 32)])
    assert Table.of([FileStat("a", 1, 5, MD5 + "-2")]) != Table.of([FileStat("a", 1, 5, MD5 + "-3")])


def test_a_row_takes_36_bytes_and_its_path() -> None:
    table = Table.of(FileStat(f"{number:010}", number, number, MD5) for number in range(1000))
    assert table.memory_bytes <= 1000 * (36 + 10) + 8


def test_no_spelling_of_a_path_is_an_error() -> None:
    assert Table().find("lone\ud800") is None


def test_what_a_backend_decides_itself_is_kept() -> None:
    plain, decided = FileStat("a.js", 1), FileStat("b.css", 2, 3, "f" * 64, "f" * 64, "f" * 64)
    table = Table.of([decided, plain])
    assert list(table) == [plain, decided]
    assert table.find("b.css") == decided
    assert table != Table.of([plain, FileStat("b.css", 2, 3, "f" * 64)])
