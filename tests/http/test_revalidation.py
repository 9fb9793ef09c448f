"""Whether files are still the ones that an answer was made of: asked often, so with few questions."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from assetstore.backends.base import FileSignature, FileStat
from assetstore.backends.reader import NO_FILE
from assetstore.http import revalidation as module
from assetstore.http.revalidation import (
    CHECK_SECONDS,
    MAX_FOLDERS,
    SHARED_SECONDS,
    UNSETTLED,
    DirectoryWatch,
    Revalidation,
    Snapshot,
)


class Storage(dict[str, FileSignature | None]):
    """What each path looks like, and which of them were looked at."""

    def __init__(
        self, marks: dict[str, FileSignature | None] | None = None, default: FileSignature | None = NO_FILE
    ) -> None:
        super().__init__(marks or {})
        self.looked: list[str] = []
        self._default = default

    def signature(self, path: str) -> FileSignature | None:
        self.looked.append(path)
        return self.get(path, self._default)

    def signature_hash(self, path: str) -> int:
        return hash(self.signature(path))


def snapshot(storage: Storage | DirectoryWatch, *paths: str) -> Snapshot:
    """What the files *paths* look like now, as a request sees them."""
    watched = storage if isinstance(storage, DirectoryWatch) else DirectoryWatch(storage)
    taken = Snapshot(watched, paths[0])
    for path in paths:
        if not taken.is_absent(path):
            taken.saw(FileStat(path, 1, signature=watched.signature(path)))
    return taken


def watch(storage: Storage | DirectoryWatch, *paths: str) -> Revalidation:
    return snapshot(storage, *paths).revalidation()


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
    storage = Storage({"a.css": FileSignature(1, 2, 3, 4, 5), "": FileSignature(1, 9, 0, 1, 1)})
    revalidation = watch(storage, "a.css", "a.css.br")
    assert revalidation.holds()
    storage["a.css"] = FileSignature(1, 2, 3, 4, 6)
    assert not revalidation.holds()


def test_two_files_that_changed_places_are_not_the_same() -> None:
    storage = Storage({"a.css": FileSignature(1, 2, 3, 4, 5), "a.css.br": FileSignature(1, 3, 3, 4, 5)})
    before = watch(storage, "a.css", "a.css.br")
    assert before.holds()
    storage["a.css"], storage["a.css.br"] = storage["a.css.br"], storage["a.css"]
    assert not before.holds()
    assert not before.matches(watch(storage, "a.css", "a.css.br"))


def test_a_file_that_went_is_not_the_same() -> None:
    storage = Storage({"a.css": FileSignature(1, 2, 3, 4, 5), "a.css.br": FileSignature(1, 3, 3, 4, 5)})
    revalidation = watch(storage, "a.css", "a.css.br")
    del storage["a.css.br"]
    assert not revalidation.holds()


def test_witnesses_of_the_same_state_saw_the_same() -> None:
    storage = Storage({"a.css": FileSignature(1, 2, 3, 4, 5)})
    first = watch(storage, "a.css", "a.css.br")
    assert first.matches(watch(storage, "a.css", "a.css.br"))
    assert not first.matches(watch(storage, "a.css"))
    storage["a.css.br"] = FileSignature(1, 3, 3, 4, 5)
    assert not first.matches(watch(storage, "a.css", "a.css.br"))


def test_a_witness_does_not_look_for_absent_files_in_a_folder_that_was_left_alone(
    later: Callable[[], None],
) -> None:
    storage = Storage({"css/a.css": FileSignature(1, 2, 3, 4, 5), "css": FileSignature(1, 9, 0, 1, 1)})
    revalidation = watch(storage, "css/a.css", "css/a.css.br")
    storage.looked.clear()
    assert revalidation.holds()
    assert storage.looked == ["css/a.css"]
    later()
    assert revalidation.holds()
    assert storage.looked == ["css/a.css", "css/a.css", "css"]
    storage["css"] = FileSignature(1, 9, 0, 2, 2)
    later()
    storage.looked.clear()
    assert revalidation.holds()
    assert "css/a.css.br" in storage.looked
    storage.looked.clear()
    assert revalidation.holds()
    assert storage.looked == ["css/a.css"]  # it has been left alone since
    storage["css"], storage["css/a.css.br"] = FileSignature(1, 9, 0, 3, 3), FileSignature(1, 3, 3, 4, 5)
    later()
    assert not revalidation.holds()


def test_a_young_folder_tells_nothing(later: Callable[[], None]) -> None:
    storage = Storage({"css/a.css": FileSignature(1, 2, 3, 4, 5), "css": FileSignature(1, 9, 0, 1, time.time_ns())})
    directories = DirectoryWatch(storage)
    assert directories.folder("css").settled == UNSETTLED
    revalidation = watch(directories, "css/a.css", "css/a.css.br")
    storage["css/a.css.br"] = FileSignature(1, 3, 3, 4, 5)  # within the same tick: the folder looks as it did
    assert not revalidation.holds()


def test_without_marks_only_time_tells() -> None:
    assert not Snapshot(None).revalidation().holds()
    assert not watch(Storage(default=None), "sheet.css").holds()
    assert not watch(
        Storage({"sheet.css": None, "other.css": FileSignature(1, 2, 3, 4, 5)}), "sheet.css", "other.css"
    ).holds()
    assert Snapshot(None).revalidation().until <= time.monotonic() + 1


def test_files_of_one_folder_look_at_it_together(later: Callable[[], None]) -> None:
    storage = Storage({"css": FileSignature(1, 9, 0, 1, 1)})
    directories = DirectoryWatch(storage)
    revalidations = [watch(directories, f"css/{number}.css") for number in range(10)]
    assert storage.looked.count("css") == 1
    for _ in range(2):
        later()
        assert all(revalidation.holds() for revalidation in revalidations)
    assert storage.looked.count("css") == 3


def test_what_a_folder_looked_like_is_not_shared_for_long(later: Callable[[], None]) -> None:
    storage = Storage({"css": FileSignature(1, 9, 0, 1, 1)})
    directories = DirectoryWatch(storage)
    before = directories.folder("css").state
    storage["css"] = FileSignature(1, 9, 0, 2, 2)
    assert directories.folder("css").state == before
    later()
    assert directories.folder("css").state != before


def test_a_file_that_came_while_its_folder_was_being_shared_is_seen_at_the_next_look(later: Callable[[], None]) -> None:
    storage = Storage({"css": FileSignature(1, 9, 0, 1, 1)})
    directories = DirectoryWatch(storage)
    directories.folder("css")
    storage["css"] = FileSignature(1, 9, 0, 2, 2)
    revalidation = watch(directories, "css/a.css")
    storage["css/a.css"] = FileSignature(1, 3, 3, 4, 5)
    later()
    assert not revalidation.holds()


def test_few_folders_are_remembered_and_a_witness_needs_none_of_them(later: Callable[[], None]) -> None:
    storage = Storage()
    directories = DirectoryWatch(storage)
    revalidation = watch(directories, "css/a.css")
    for number in range(3 * MAX_FOLDERS):
        directories.folder(str(number))
    assert len(directories._folders) <= MAX_FOLDERS
    assert revalidation.holds()
    storage["css"], storage["css/a.css"] = FileSignature(1, 9, 0, 2, 2), FileSignature(1, 3, 3, 4, 5)
    later()
    assert not revalidation.holds()


def test_a_file_that_changed_between_two_looks_of_one_request_is_not_kept() -> None:
    storage = Storage({"a.css": FileSignature(1, 2, 3, 4, 5)})
    taken = snapshot(storage, "a.css")
    assert taken.is_keepable
    taken.saw(FileStat("a.css", 1, signature=FileSignature(1, 3, 3, 4, 5)))
    assert not taken.is_keepable


def test_a_file_of_the_future_is_not_kept() -> None:
    late = time.time_ns() + 3600 * 10**9
    storage = Storage({"a.css": FileSignature(1, 2, 3, 4, 5), "b.css": FileSignature(1, 2, 3, late, 5), "c.css": None})
    assert [snapshot(storage, path).is_keepable for path in ("a.css", "b.css", "c.css", "d.css")] == [
        True,
        False,
        True,
        True,
    ]


def test_checks_are_made_well_within_the_second() -> None:
    assert CHECK_SECONDS + SHARED_SECONDS < 1
    assert module.SETTLED_SECONDS > 1
