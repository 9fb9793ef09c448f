"""Retrier: in time, no more than so many, with the breaker's leave; and every end is reported as what it is."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import pytest

from assetstore.backends.remote import RemoteLimits
from assetstore.backends.remote import retry as retries
from assetstore.backends.remote.deadline import Timeouts
from assetstore.backends.remote.retry import Breaker, Counters, Retrier
from assetstore.errors import (
    AssetNotFound,
    BackendCredentials,
    BackendForbidden,
    BackendThrottled,
    BackendTimeout,
    BackendUnavailable,
    BodyTruncated,
    RangeNotSatisfiable,
    UnexpectedResponse,
    VersionChanged,
)

pytestmark = pytest.mark.anyio

PATH = "app.css"
DOWN = BackendUnavailable("reset")


class Asking:
    """Retrier at ``stat`` of one storage, and what can be seen of them."""

    def __init__(self, storage: Any, clock: Any, *, interruptible: bool = False, **limits: Any) -> None:
        self.limits = RemoteLimits(**{"attempts": 3, "breaker_faults": 1000, **limits})
        self.counters = Counters()
        self.breaker = Breaker(self.limits.breaker_faults, 1.0, 4.0, clock=clock, jitter=lambda: 0.0)
        deadlines = Timeouts("s3://bucket", interruptible=interruptible)
        self.attempts = Retrier("s3://bucket", self.limits, self.breaker, self.counters, deadlines, self._probe)
        self._storage = storage

    async def _probe(self, path: str) -> None:
        await self._storage.stat(path)

    async def stat(self) -> Any:
        return await self.attempts.run(PATH, lambda: self._storage.stat(PATH))

    async def opens_the_breaker(self) -> None:
        """Fail until the storage is left alone."""
        down, self._storage.down = self._storage.down, DOWN
        while not self.breaker.is_open:
            with suppress(BackendUnavailable):
                await self.stat()
        self._storage.down = down
        self._storage.asked.clear()


@pytest.fixture
def storage(storage: Any) -> Any:
    """One file is in it."""
    storage.put(PATH, b"body {}")
    return storage


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.0)


async def test_what_works_at_once_is_one_request(storage: Any, clock: Any) -> None:
    storage.seconds = 0.02
    asking = Asking(storage, clock)
    assert (await asking.stat()).size == 7
    counts = asking.counters.counts()
    assert (counts.requests, counts.errors) == (1, {})
    assert counts.seconds >= 0.02
    assert asking.counters.contact is not None
    assert asking.counters.contact.fault is None


@pytest.mark.parametrize("attempts", [1, 2, 5])
@pytest.mark.usefixtures("no_pauses")
async def test_there_are_as_many_attempts_as_the_limits_say(storage: Any, clock: Any, attempts: int) -> None:
    storage.down = DOWN
    asking = Asking(storage, clock, attempts=attempts)
    with pytest.raises(BackendUnavailable):
        await asking.stat()
    assert len(storage.asked) == asking.counters.requests == attempts


@pytest.mark.usefixtures("no_pauses")
async def test_what_is_raised_is_the_last_fault(storage: Any, clock: Any) -> None:
    storage.faults = [BackendUnavailable("first"), BackendTimeout("second"), BackendThrottled("third")]
    with pytest.raises(BackendThrottled, match="third"):
        await Asking(storage, clock).stat()


class TestTime:
    @pytest.mark.parametrize("interruptible", [False, True], ids=["left behind", "interrupted"])
    async def test_one_attempt_has_the_time_to_connect_and_to_read(
        self, storage: Any, clock: Any, interruptible: bool
    ) -> None:
        storage.seconds = 60
        limits = {"connect_seconds": 0.02, "read_seconds": 0.03, "attempts": 1}
        asking = Asking(storage, clock, interruptible=interruptible, **limits)
        with pytest.raises(BackendTimeout, match=r"s3://bucket did not go on with 'app.css' within 0\.1 s"):
            await asking.stat()
        assert asking.counters.counts().errors == {"BackendTimeout": 1}
        assert 0.05 <= asking.counters.seconds < 10

    async def test_all_attempts_together_have_less_where_that_is_less(self, storage: Any, clock: Any) -> None:
        storage.seconds = 60
        began = time.monotonic()
        with pytest.raises(BackendTimeout):
            await Asking(storage, clock, total_seconds=0.05).stat()
        assert time.monotonic() - began < 6.0  # a single attempt might take seven
        assert len(storage.asked) == 1  # no time was left for another

    async def test_a_pause_that_would_outlast_the_time_is_not_begun(self, storage: Any, clock: Any) -> None:
        storage.down = BackendThrottled("slow down", retry_after_seconds=0.9)
        began = time.monotonic()
        with pytest.raises(BackendThrottled):
            await Asking(storage, clock, total_seconds=0.5).stat()
        assert time.monotonic() - began < 0.9
        assert len(storage.asked) == 1

    async def test_between_two_attempts_the_storage_gets_the_rest_it_asks_for(self, storage: Any, clock: Any) -> None:
        storage.faults = [BackendThrottled("slow down", retry_after_seconds=0.2)]
        began = time.monotonic()
        await Asking(storage, clock).stat()
        assert time.monotonic() - began >= 0.2

    async def test_a_longer_rest_than_we_would_take_is_for_the_client_to_take(self, storage: Any, clock: Any) -> None:
        storage.down = BackendThrottled("slow down", retry_after_seconds=5.0)
        with pytest.raises(BackendThrottled):
            await Asking(storage, clock).stat()
        assert len(storage.asked) == 1

    async def test_what_comes_too_late_for_anybody_is_disposed_of(self, clock: Any) -> None:
        disposed: list[str] = []
        answered = asyncio.Event()

        async def slow() -> str:
            await answered.wait()
            return "opened"

        async def dispose(opened: str) -> None:
            disposed.append(opened)

        asking = Asking(None, clock, connect_seconds=0.01, read_seconds=0.01, attempts=1)
        with pytest.raises(BackendTimeout):
            await asking.attempts.run(PATH, slow, dispose)
        answered.set()
        await asking.attempts.aclose()
        assert disposed == ["opened"]

    async def test_the_parts_of_a_body_have_a_time_too(self, clock: Any) -> None:
        asking = Asking(None, clock)
        assert await asking.attempts.within(5, PATH, asyncio.sleep(0, "a part")) == "a part"
        with pytest.raises(BackendTimeout):
            await asking.attempts.within(0.01, PATH, asyncio.sleep(0.1))
        await asking.attempts.aclose()


@pytest.mark.parametrize(
    ("error", "attempts", "counted", "told"),
    [
        pytest.param(AssetNotFound(PATH), 1, False, False, id="a missing file is an answer"),
        pytest.param(VersionChanged("x"), 1, False, False, id="another version is an answer"),
        pytest.param(RangeNotSatisfiable("x"), 1, False, False, id="a range outside of the file is an answer"),
        pytest.param(
            BackendForbidden("x"), 1, True, True, id="a storage of which nothing could be read yet is refused"
        ),
        pytest.param(
            UnexpectedResponse("x"), 1, True, True, id="nonsense is reported by health where nothing was read"
        ),
        pytest.param(BackendCredentials("x"), 1, True, True, id="wrong credentials are reported by health"),
        pytest.param(BackendUnavailable("x"), 3, True, None, id="no answer is a fault"),
        pytest.param(BackendTimeout("x"), 3, True, None, id="an answer too late is a fault"),
        pytest.param(BackendThrottled("x"), 3, True, None, id="too many requests are a fault"),
        pytest.param(BodyTruncated("x"), 3, True, None, id="a body cut short is a fault of that file"),
    ],
)
@pytest.mark.usefixtures("no_pauses")
class TestEnds:
    """*told*: whether the last contact is a fault; ``None``: there was no contact at all."""

    async def test_each_is_counted_as_what_it_is(
        self, storage: Any, clock: Any, error: Exception, attempts: int, counted: bool, told: bool | None
    ) -> None:
        storage.down = error
        asking = Asking(storage, clock)
        with pytest.raises(type(error)):
            await asking.stat()
        assert len(storage.asked) == attempts
        assert asking.counters.counts().errors == ({type(error).__name__: attempts} if counted else {})
        contact = asking.counters.contact
        assert (contact and contact.fault is error) is told

    async def test_what_is_true_of_the_whole_storage_opens_the_breaker_and_nothing_else_does(
        self, storage: Any, clock: Any, error: Exception, attempts: int, counted: bool, told: bool | None
    ) -> None:
        storage.down = error
        asking = Asking(storage, clock, breaker_faults=2)
        for _ in range(5):
            with pytest.raises(type(error)):
                await asking.stat()
            if asking.breaker.is_open:
                break
        assert asking.breaker.is_open is isinstance(error, BackendUnavailable | BackendCredentials)


async def test_an_error_that_is_none_of_ours_says_nothing_about_the_storage(storage: Any, clock: Any) -> None:
    storage.down = ZeroDivisionError("ours to mend")
    asking = Asking(storage, clock, breaker_faults=1)
    with pytest.raises(ZeroDivisionError):
        await asking.stat()
    assert len(storage.asked) == 1
    assert not asking.breaker.is_open
    assert (asking.counters.counts().errors, asking.counters.contact) == ({}, None)


@pytest.mark.usefixtures("no_pauses")
class TestBreaker:
    async def test_the_attempts_end_when_it_opens(self, storage: Any, clock: Any) -> None:
        storage.down = DOWN
        with pytest.raises(BackendUnavailable, match="reset"):
            await Asking(storage, clock, attempts=5, breaker_faults=2).stat()
        assert len(storage.asked) == 2

    async def test_while_it_is_open_nothing_is_asked_and_the_reason_is_told(self, storage: Any, clock: Any) -> None:
        asking = Asking(storage, clock, breaker_faults=2)
        await asking.opens_the_breaker()
        with pytest.raises(BackendUnavailable, match=r"^s3://bucket failed several .* another 1\.0 s; the log") as told:
            await asking.stat()
        assert told.value.path == PATH
        assert storage.asked == []
        assert asking.counters.requests == 2
        assert asking.counters.counts().errors == {"BackendUnavailable": 2}

    async def test_the_operator_is_told_once_that_it_opened_and_once_that_it_closed(
        self, storage: Any, clock: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        asking = Asking(storage, clock, attempts=1, breaker_faults=1)
        storage.down = DOWN
        with caplog.at_level(logging.INFO, "assetstore.storage"):
            for _ in range(3):  # opens; a probe that fails; another
                with pytest.raises(BackendUnavailable):
                    await asking.stat()
                clock.now += asking.breaker.wait_seconds
            contact = asking.counters.contact
            assert contact is not None
            assert contact.fault is DOWN
            storage.down = None
            await asking.stat()
            await asking.stat()
        assert [(each.levelname, each.message) for each in caplog.records] == [
            ("ERROR", "s3://bucket is down and is left alone for now: reset"),
            ("WARNING", "s3://bucket answers again"),
        ]
        assert len(storage.asked) == 5
        assert asking.counters.contact is not None
        assert asking.counters.contact.fault is None

    async def test_a_probe_is_one_request_however_many_attempts_there_are(self, storage: Any, clock: Any) -> None:
        asking = Asking(storage, clock, attempts=5, breaker_faults=1)
        await asking.opens_the_breaker()
        clock.now += 1.0
        storage.down = DOWN
        with pytest.raises(BackendUnavailable, match="reset"):
            await asking.stat()
        assert len(storage.asked) == 1
        assert asking.breaker.wait_seconds == 2.0

    async def test_that_the_file_is_missing_closes_it(self, storage: Any, clock: Any) -> None:
        asking = Asking(storage, clock, breaker_faults=1)
        await asking.opens_the_breaker()
        clock.now += 1.0
        storage.down = AssetNotFound(PATH)
        with pytest.raises(AssetNotFound):
            await asking.stat()
        assert not asking.breaker.is_open

    async def test_a_probe_whose_client_leaves_makes_room_for_another(self, storage: Any, clock: Any) -> None:
        asking = Asking(storage, clock, breaker_faults=1)
        await asking.opens_the_breaker()
        clock.now += 1.0
        storage.gate = asyncio.Event()
        probe = asyncio.create_task(asking.stat())
        await asyncio.sleep(0.01)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert asking.breaker.is_open
        storage.gate.set()
        assert (await asking.stat()).size == 7

    async def test_who_finds_a_probe_under_way_gives_it_a_moment(
        self, storage: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("assetstore.backends.remote.retry.pause_seconds", lambda *_: 0.05)
        asking = Asking(storage, clock, breaker_faults=1)
        await asking.opens_the_breaker()
        clock.now += 1.0
        storage.gate = asyncio.Event()
        probe = asyncio.create_task(asking.stat())
        await asyncio.sleep(0.005)
        with pytest.raises(BackendUnavailable, match="left alone"):  # its pauses are over, the probe is not
            await asking.stat()
        other = asyncio.create_task(asking.stat())
        await asyncio.sleep(0.005)
        storage.gate.set()
        assert (await probe).size == (await other).size == 7
        assert len(storage.asked) == 2

    async def test_a_rest_that_the_storage_asks_for_is_how_long_it_is_left_alone(
        self, storage: Any, clock: Any
    ) -> None:
        storage.down = BackendThrottled("slow down", retry_after_seconds=3.0)
        asking = Asking(storage, clock, breaker_faults=1)
        with pytest.raises(BackendThrottled):
            await asking.stat()
        assert asking.breaker.wait_seconds == 3.0

    async def test_bodies_that_never_come_open_it_as_well(self, clock: Any) -> None:
        asking = Asking(None, clock, breaker_faults=2)
        for _ in range(2):
            asking.attempts.broke_off(PATH, BackendTimeout("silent"))
        assert asking.breaker.is_open
        assert asking.counters.counts().errors == {"BackendTimeout": 2}


@pytest.mark.usefixtures("no_pauses")
class TestOneOddFile:
    """Faults of one file never close a mount whose other files can be read."""

    @pytest.mark.parametrize(
        "error", [BackendUnavailable("500"), BackendTimeout("x"), BackendCredentials("signature")], ids=repr
    )
    async def test_a_file_that_was_read_before_is_probed_before_the_breaker_opens(
        self, storage: Any, clock: Any, error: Exception
    ) -> None:
        asking = Asking(storage, clock, attempts=1, breaker_faults=2)
        await asking.stat()

        async def odd() -> None:
            raise error

        for _ in range(10):
            with pytest.raises(type(error)):
                await asking.attempts.run("odd", odd)
            assert (await asking.stat()).size == 7
        for _ in range(10):
            with pytest.raises(type(error)):
                await asking.attempts.run("odd", odd)
        assert (await asking.stat()).size == 7
        assert not asking.breaker.is_open

    async def test_it_opens_where_the_probe_fails_too_and_closes_by_a_probe(self, storage: Any, clock: Any) -> None:
        asking = Asking(storage, clock, attempts=1, breaker_faults=2)
        await asking.stat()
        storage.down = DOWN
        for _ in range(3):
            with pytest.raises(BackendUnavailable):
                await asking.stat()
        assert asking.breaker.is_open
        assert asking.breaker.wait_seconds == 1.0
        clock.now += 1.0
        storage.down = None

        async def odd() -> None:
            raise BackendUnavailable("500")

        with pytest.raises(BackendUnavailable, match="500"):
            await asking.attempts.run("odd", odd)
        assert not asking.breaker.is_open

    @pytest.mark.parametrize("error", [BackendForbidden("x"), UnexpectedResponse("x")], ids=repr)
    async def test_health_says_what_is_true_of_every_file_that_is_known(
        self, storage: Any, clock: Any, error: Exception
    ) -> None:
        asking = Asking(storage, clock)
        await asking.stat()

        async def odd() -> None:
            raise error

        for _ in range(3):
            with pytest.raises(type(error)):
                await asking.attempts.run("odd", odd)
        assert asking.counters.contact is not None
        assert asking.counters.contact.fault is None
        storage.down = error
        await asking.attempts.probe("nothing")
        assert asking.counters.contact.fault is error
        storage.down = None
        await asking.attempts.probe("nothing")
        assert asking.counters.contact.fault is None

    async def test_that_a_made_up_file_is_forbidden_says_nothing(self, storage: Any, clock: Any) -> None:
        storage.down = BackendForbidden("or missing, where one may not list")
        asking = Asking(storage, clock)
        await asking.attempts.probe("nothing")
        assert asking.counters.contact is None
