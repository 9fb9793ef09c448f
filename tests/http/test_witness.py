"""Whether files are still the ones that an answer was made of: asked often, so with few questions."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from assetstore.backends.readers import NO_FILE, Mark
from assetstore.http import witness as module
from assetstore.http.witness import CHECK_SECONDS, MAX_FOLDERS, SHARED_SECONDS, Lookout, Witness


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let folders be looked at anew."""
    now = time.monotonic
    passed = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now() + passed[0])

    def pass_() -> None:
        passed[0] += 2 * SHARED_SECONDS

    return pass_


def test_a_witness_holds_while_nothing_changed() -> None:
    marks = {"a.css": Mark(1, 2, 3, 4, 5), "a.css.br": NO_FILE, "": Mark(1, 9, 0, 1, 1)}
    witness = Witness(Lookout(marks.__getitem__), ("a.css", "a.css.br"))
    assert witness.holds()
    marks["a.css"] = Mark(1, 2, 3, 4, 6)
    assert not witness.holds()


def test_a_witness_does_not_look_for_absent_files_in_a_folder_that_was_left_alone(
    later: Callable[[], None],
) -> None:
    looked: list[str] = []
    marks = {"css/a.css": Mark(1, 2, 3, 4, 5), "css/a.css.br": NO_FILE, "css": Mark(1, 9, 0, 1, 1)}

    def mark(path: str) -> Mark:
        looked.append(path)
        return marks[path]

    witness = Witness(Lookout(mark), ("css/a.css", "css/a.css.br"))
    looked.clear()
    assert witness.holds()
    assert looked == ["css/a.css"]
    later()
    assert witness.holds()
    assert looked == ["css/a.css", "css/a.css", "css"]
    marks["css"] = Mark(1, 9, 0, 2, 2)
    later()
    looked.clear()
    assert witness.holds()
    assert "css/a.css.br" in looked
    marks["css"], marks["css/a.css.br"] = Mark(1, 9, 0, 3, 3), Mark(1, 3, 3, 4, 5)
    later()
    assert not witness.holds()


def test_without_marks_only_time_tells() -> None:
    assert not Witness(None, ()).holds()
    assert not Witness(Lookout(lambda path: None), ("sheet.css",)).holds()
    assert Witness(None, ()).until <= time.monotonic() + 1


def test_files_of_one_folder_look_at_it_together(later: Callable[[], None]) -> None:
    looked: list[str] = []

    def mark(path: str) -> Mark:
        looked.append(path)
        return Mark(1, 9, 0, 1, 1) if path == "css" else NO_FILE

    lookout = Lookout(mark)
    witnesses = [Witness(lookout, (f"css/{number}.css",)) for number in range(10)]
    assert looked.count("css") == 1
    for _ in range(2):
        later()
        assert all(witness.holds() for witness in witnesses)
    assert looked.count("css") == 3


def test_what_a_folder_looked_like_is_not_shared_for_long(later: Callable[[], None]) -> None:
    marks = {"css": Mark(1, 9, 0, 1, 1)}
    lookout = Lookout(marks.__getitem__)
    assert lookout.folder("css").mark == Mark(1, 9, 0, 1, 1)
    marks["css"] = Mark(1, 9, 0, 2, 2)
    later()
    assert lookout.folder("css").mark == Mark(1, 9, 0, 2, 2)


def test_a_file_that_came_while_its_folder_was_being_shared_is_seen_at_the_next_look(later: Callable[[], None]) -> None:
    marks = {"css": Mark(1, 9, 0, 1, 1), "css/a.css": NO_FILE, "css/b.css": NO_FILE}
    lookout = Lookout(marks.__getitem__)
    lookout.folder("css")
    marks["css"] = Mark(1, 9, 0, 2, 2)
    witness = Witness(lookout, ("css/a.css",))
    marks["css/a.css"] = Mark(1, 3, 3, 4, 5)
    later()
    assert not witness.holds()


def test_few_folders_are_remembered() -> None:
    lookout = Lookout(lambda path: NO_FILE)
    for number in range(3 * MAX_FOLDERS):
        lookout.folder(str(number))
    assert len(lookout._folders) <= MAX_FOLDERS


def test_the_mark_of_a_file_is_the_one_it_had_before_it_was_read() -> None:
    marks = {"": Mark(1, 9, 0, 1, 1), "a.css": Mark(1, 2, 3, 4, 5), "a.css.br": NO_FILE}
    witness = Witness(Lookout(marks.__getitem__), ("a.css", "a.css.br"))
    marks["a.css"] = NO_FILE
    assert witness.mark_of("a.css") == Mark(1, 2, 3, 4, 5)
    assert witness.mark_of("a.css.br") is None
    assert witness.mark_of("b.css") is None


def test_checks_are_made_well_within_the_second() -> None:
    assert CHECK_SECONDS + SHARED_SECONDS < 1
    assert module.SETTLED_SECONDS > 1
