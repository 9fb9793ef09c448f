"""The background worker: repeats work, refreshes what was read from storage, computes values from a queue.

:class:`Background` is one daemon thread. :class:`Refresher` repeats a read of storage in it, and
:class:`DeferredCache` computes in it what an event loop must not wait for. None of them ends
because of an exception: it is logged once, and the work goes on.
"""

from __future__ import annotations

import heapq
import logging
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from assetstore.errors import AssetNotFound, AssetStoreError, BackendError, BackendUnavailable
from assetstore.util import backoff_seconds, reset_after_fork
from assetstore.util.lru import LRU

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_log = logging.getLogger("assetstore")

#: The nice value of threads that hash or compress. They hardly hold the interpreter lock, so that they would take half
#: of a busy core from the event loop; with 10 it is a tenth (sched(7)). Not for work that is done in Python: a thread
#: that has to wait for the processor while it holds the lock makes the event loop wait with it.
NICE = 10
#: The longest sleep between two calls, in seconds.
LONGEST_SECONDS = 3600.0
#: How long a thread with nothing left to do waits for more before it ends, in seconds.
LINGER_SECONDS = 5.0
#: The pause after a failure in seconds; each further one in a row doubles it, up to the second value.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
#: Refreshing may take at most this share of the time, however short its interval is.
SHARE = 0.05
#: How long :meth:`Background.close` waits for the call that runs, in seconds.
CLOSE_SECONDS = 5.0


def running_loop() -> AbstractEventLoop | None:
    """The event loop of asyncio that the caller runs on; ``None`` for none."""
    asyncio: Any = sys.modules.get("asyncio")  # importing it takes 50 ms, and without it there is no loop
    loop: AbstractEventLoop | None = None if asyncio is None else asyncio._get_running_loop()
    return loop


def on_event_loop() -> bool:
    """Whether the caller runs on an event loop of asyncio, which must not be blocked."""
    return running_loop() is not None


class LoopBudget:
    """What event loops may spend on one kind of work, in *seconds* of each second. Threads spend what they like."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._second, self._spent = 0, 0.0

    @property
    def is_spent(self) -> bool:
        """Whether the caller runs on an event loop, and this second's share is used up."""
        return on_event_loop() and self._spent_now() >= self._seconds

    @contextmanager
    def spend(self) -> Iterator[None]:
        """Count the time that the block takes, where it runs on an event loop."""
        began = time.monotonic()
        try:
            yield
        finally:
            if on_event_loop():
                self._spent = self._spent_now() + time.monotonic() - began

    def _spent_now(self) -> float:
        if self._second != (second := int(time.monotonic())):
            self._second, self._spent = second, 0.0
        return self._spent


#: Whatever works in the background of this process and is still used.
_workers: weakref.WeakSet[Background | DeferredCache[Any, Any]] = weakref.WeakSet()


def failing() -> dict[str, str]:
    """Which threads of this process keep failing at what they do: the name of each, and the class of its last error.

    A storage that fails is not among them: that is the state of a mount.
    """
    return {each.name: type(each.error).__name__ for each in list(_workers) if each.error is not None}


class Background:
    """Repeats a bound method in one daemon thread; the method returns the seconds to sleep after it.

    ``math.inf`` says that nothing is left to do: the thread ends, and :meth:`wake` starts another.
    The method's object is held weakly, so dropping it ends the thread. A forked process has no
    thread until :meth:`start` or :meth:`wake` is called in it.

    Args:
        work: the bound method. What it raises is logged once in a row, and the work is tried again.
        name: the thread's name.
        nice: the thread's nice value on Linux (0 to 19).
    """

    def __init__(self, work: Callable[[], float], name: str, nice: int = 0) -> None:
        self._work = weakref.WeakMethod(work)
        self._name = name
        self._nice = nice
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: _Thread | None = None
        #: What the last call raised; ``None`` after one that returned.
        self.error: BaseException | None = None
        self._failures = 0
        reset_after_fork(self)
        _workers.add(self)

    def start(self) -> None:
        """Start the thread unless it runs; cheap enough for every use."""
        if self._thread is None:
            self._start()

    def wake(self) -> None:
        """Call the method soon, without waiting for the end of the pause."""
        self._wake.set()
        self.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """End the thread, and wait up to *seconds* for the call that runs; :meth:`start` starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    @property
    def name(self) -> str:
        """The thread's name."""
        return self._name

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the thread."""
        me = threading.current_thread()
        return isinstance(me, _Thread) and me.background() is self

    @property
    def is_ending(self) -> bool:
        """Whether the caller runs in the thread and is to end, so that a long call can break off."""
        return self.is_here and threading.current_thread() is not self._thread

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._thread = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._wake = wake = threading.Event()
            # The end of the object wakes the thread, which then finds no object and ends too.
            if (method := self._work()) is not None:
                weakref.finalize(method.__self__, wake.set).atexit = False  # type: ignore[attr-defined]
            self._thread = _Thread(weakref.ref(self), wake, self._name, self._nice)
            self._thread.start()

    def _once(self) -> float | None:
        """Call the method; the seconds to sleep, ``None`` if this thread is to end."""
        if self._thread is not threading.current_thread() or (method := self._work()) is None:
            return None
        try:
            sleep = method()
        except BaseException as error:  # also SystemExit: without this thread, names would stay as they are for ever
            self._failures += 1
            if repr(error) != repr(self.error):
                _log.exception("%s failed, and is tried again", self._name)
            self.error = error
            return backoff_seconds(self._failures, FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, least=0.5)
        self.error, self._failures = None, 0
        return sleep

    def _end_idle(self) -> None:
        """End this thread unless there is more to do."""
        with self._lock:
            if not self._wake.is_set() and self._thread is threading.current_thread():
                self._thread = None


class _Thread(threading.Thread):
    def __init__(self, background: weakref.ref[Background], wake: threading.Event, name: str, nice: int) -> None:
        super().__init__(name=name, daemon=True)
        self._nice = nice
        self.background = background
        self._wake = wake

    def run(self) -> None:
        if self._nice and sys.platform == "linux":  # where each thread has a nice value of its own (sched(7))
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        # No reference is held over the sleep, or the object would live for as long as its thread.
        while (mine := self.background()) is not None and (sleep := mine._once()) is not None:
            del mine
            self._wake.wait(LINGER_SECONDS if sleep == math.inf else min(sleep, LONGEST_SECONDS))
            if sleep == math.inf and (mine := self.background()) is not None:
                mine._end_idle()
                del mine
            self._wake.clear()


@dataclass(frozen=True, slots=True)
class Contact:
    """Outcome of the last request to storage: time (monotonic seconds), and the error if it failed."""

    at: float
    fault: AssetStoreError | None = None


class Refresher(Background):
    """Repeats a bound method that reads from storage, at least every *refresh_seconds*.

    Args:
        read: the bound method; held weakly.
        what: what a warning says that cannot be done: ``list s3://bucket``.
        name: the thread's name.
    """

    def __init__(self, read: Callable[[], None], what: str, refresh_seconds: float, name: str) -> None:
        super().__init__(self._again, name)
        #: How the last time ended; ``None`` before the first has.
        self.contact: Contact | None = None
        self._read = weakref.WeakMethod(read)
        self._what = what
        self._refresh_seconds = refresh_seconds
        self._reading = threading.Lock()
        self._failed = 0
        self._logged = ""

    def now(self) -> None:
        """Read now, and return when it is done. Crosses the network.

        Raises:
            AssetStoreError: storage failed, or answered what cannot be read; what was known stays.
        """
        read = self._read()
        if read is None:
            return
        with self._reading:
            try:
                read()
            except AssetStoreError as error:
                self.contact = Contact(time.monotonic(), error)
                raise
            except Exception as error:
                ours = BackendError(f"cannot {self._what}: {error!r}")
                self.contact = Contact(time.monotonic(), ours)
                raise ours from error
            self.contact = Contact(time.monotonic())

    def after_fork(self) -> None:
        super().after_fork()
        self._reading = threading.Lock()

    def _again(self) -> float:
        """Read; the seconds until the next time."""
        began = time.monotonic()
        try:
            self.now()
        except AssetStoreError as error:
            self._failed += 1
            if (text := str(error)) != self._logged:
                foreign = error.__cause__ if type(error) is BackendError else None
                _log.warning("cannot %s, so its names stay as they were: %s", self._what, text, exc_info=foreign)
                self._logged = text
            longest = min(LONGEST_RETRY_SECONDS, max(self._refresh_seconds, FIRST_RETRY_SECONDS))
            return backoff_seconds(self._failed, FIRST_RETRY_SECONDS, longest, least=0.5)
        self._failed, self._logged = 0, ""
        # Jitter, so that the workers of a fleet do not ask in step; a tenth early, never late.
        wanted = self._refresh_seconds * SystemRandom().uniform(0.9, 1.0)
        return max(wanted, (time.monotonic() - began) / SHARE)


Item = TypeVar("Item")
Value = TypeVar("Value")

#: How many values are kept, and how many may wait to be computed.
MAX_VALUES, MAX_WAITING = 10_000, 2_000
#: How long a failure stands before it is tried again, in seconds.
FAILED_SECONDS = 10.0


class DeferredCache(Generic[Item, Value]):
    """Keeps what *compute* gives for each item; on an event loop it is computed in the background.

    Each item is computed by one thread at a time, the cheapest first.

    Args:
        compute: the value of an item; ``None`` where it has none (yet), which is tried again later.
            In the background, and in :meth:`get`, what it raises of storage is logged and counts as ``None``.
        key: what identifies an item; by default the item itself.
        cost: what computing an item takes; by default all cost the same.
        seconds: how old a value may become before it is computed again; an event loop gets the old one meanwhile.
        retry_seconds: how long a failure stands before it is tried again.
        wanted_seconds: what was not requested for so long is dropped, also while it is computed.
        max_count: how many values are kept.
        max_waiting: how many items may wait; further ones are refused, and come again with the next use.
        what: what a warning says that cannot be done, before the item.
        nice: the background thread's nice value on Linux.
    """

    def __init__(
        self,
        compute: Callable[[Item], Value | None],
        *,
        key: Callable[[Item], Hashable] | None = None,
        cost: Callable[[Item], float] | None = None,
        seconds: float | Callable[[Value], float] = math.inf,
        retry_seconds: float = FAILED_SECONDS,
        wanted_seconds: float = math.inf,
        max_count: int = MAX_VALUES,
        max_waiting: int = MAX_WAITING,
        what: str = "read what pages say of",
        name: str = "assetstore-deferred",
        nice: int = 0,
    ) -> None:
        self._compute = compute
        self._key: Callable[[Item], Hashable] = key or _itself
        self._cost = cost
        self._seconds = seconds
        self._retry_seconds = retry_seconds
        self._wanted_seconds = wanted_seconds
        self._max_waiting = max_waiting
        self._what = what
        self._values: LRU[Hashable, tuple[Value, float]] = LRU(max_count)
        self._failed: LRU[Hashable, float] = LRU(max_count)
        self._queue: list[tuple[float, int, Hashable]] = []
        #: What waits or is computed in the background, and until when it is wanted (monotonic seconds).
        self._waiting: dict[Hashable, tuple[Item, float]] = {}
        #: What the background computes.
        self._current: Hashable | None = None
        self._running: dict[Hashable, threading.Event] = {}
        self._count = 0
        self._idle = threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._background = Background(self._work, name, nice)
        #: What computing the last value raised that no storage says; ``None`` after one that was computed.
        self.error: BaseException | None = None
        reset_after_fork(self)
        _workers.add(self)

    @property
    def name(self) -> str:
        """The thread's name."""
        return self._background.name

    def get(self, item: Item) -> Value | None:
        """The value of *item*, computed first where no event loop waits for it; ``None`` if there is none (yet)."""
        return self.soon(item) if on_event_loop() else self._find(item, self._try)

    def soon(self, item: Item) -> Value | None:
        """The value of *item* if there is one, however old; it is computed in the background where it is needed."""
        return self._find(item, self._enqueue)

    def known(self, item: Item) -> Value | None:
        """The value of *item* if there is one, however old; nothing is computed."""
        return self._values.get(self._key(item), (None, 0.0))[0]

    def now(self, item: Item) -> Value | None:
        """The value of *item*, computed in this thread where it is needed; raises what *compute* does."""
        return self._find(item, self.compute)

    def compute(self, item: Item) -> Value | None:
        """Compute the value of *item* in this thread, whatever is known, or wait for the thread that does.

        An event loop does not wait: it gets what is known.
        """
        key = self._key(item)
        with self._lock:
            running = self._running.get(key)
            if running is None:
                self._running[key] = done = threading.Event()
        if running is not None:
            if not on_event_loop():
                running.wait()
            return self.known(item)
        try:
            value = self._compute(item)
            # What was broken off did not fail: it is begun again with the next use.
            return None if value is None and self.is_closing else self._keep(key, value)
        except BaseException:
            self._keep(key, None)
            raise
        finally:
            with self._lock:
                self._running.pop(key, None)
            done.set()

    def put(self, item: Item, value: Value) -> None:
        """Keep *value*, which somebody else computed."""
        self._keep(self._key(item), value)

    def let_go(self, item: Item, seconds: float = 0.0) -> None:
        """Who requested *item* has gone: unless it is requested again within *seconds* it is dropped."""
        key = self._key(item)
        until = time.monotonic() + seconds
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is not None and waiting[1] > until:
                self._waiting[key] = waiting[0], until

    def settle(self, seconds: float = 30.0) -> bool:
        """Wait until nothing is left to compute, for tests and at start-up; whether it came to that."""
        return self._idle.wait(seconds)

    def values(self) -> list[Value]:
        """Every value that is kept, the least recently used first."""
        return [value for _, (value, _) in self._values.items()]

    def expire(self) -> None:
        """Compute every value again at its next use; an event loop gets the old one meanwhile."""
        for key, (value, _) in self._values.items():
            self._values.put(key, (value, 0.0))
        self._failed.clear()

    def close(self) -> None:
        """Drop what waits, and end the thread; the next use starts another."""
        with self._lock:
            self._clear()
        self._background.close()

    @property
    def is_closing(self) -> bool:
        """Whether the caller runs in the background and nobody wants its result, so that a long computation can break off."""
        if self._background.is_ending:
            return True
        if self._current is None or not self._background.is_here:
            return False
        return not self._is_wanted(self._waiting.get(self._current))

    def _is_wanted(self, waiting: tuple[Item, float] | None) -> bool:
        return waiting is not None and time.monotonic() < waiting[1]

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._running.clear()
        self._clear()

    def _find(self, item: Item, compute: Callable[[Item], Value | None]) -> Value | None:
        key = self._key(item)
        now = time.monotonic()
        value, fresh_until = self._values.get(key, (None, 0.0))
        if now < fresh_until or now < self._failed.get(key, 0.0):
            return value
        computed = compute(item)
        return value if computed is None else computed

    def _try(self, item: Item) -> Value | None:
        try:
            return self.compute(item)
        except (AssetNotFound, BackendError) as error:
            _log.warning("cannot %s %s: %s", self._what, item, error)
            if isinstance(error, BackendUnavailable):
                with self._lock:
                    self._clear()  # the others would fail too; they come again with the next use
            return None

    def _keep(self, key: Hashable, value: Value | None) -> Value | None:
        now = time.monotonic()
        if value is None:
            self._failed.put(key, now + self._retry_seconds)
        else:
            self._values.put(key, (value, now + (self._seconds(value) if callable(self._seconds) else self._seconds)))
        return value

    def _enqueue(self, item: Item) -> None:
        key = self._key(item)
        until = time.monotonic() + self._wanted_seconds
        with self._lock:
            if key in self._waiting:
                self._waiting[key] = item, until
                return
            if len(self._waiting) >= self._max_waiting:
                return
            self._waiting[key] = item, until
            self._count += 1
            heapq.heappush(self._queue, (self._cost(item) if self._cost else 0.0, self._count, key))
            self._idle.clear()
        self._background.wake()

    def _work(self) -> float:
        while not self._background.is_ending:
            with self._lock:
                if not self._queue:
                    self._idle.set()
                    return math.inf
                key = heapq.heappop(self._queue)[2]
                if (waiting := self._waiting.get(key)) is None:
                    continue
            item = waiting[0]
            self._current = key
            try:
                if self._is_wanted(waiting):
                    self._find(item, self._try)
                    self.error = None
            except BaseException as error:  # also SystemExit
                if repr(error) != repr(self.error):
                    _log.exception("cannot %s %s", self._what, item)
                self.error = error
            finally:
                self._current = None
                with self._lock:
                    self._waiting.pop(key, None)
        return math.inf

    def _clear(self) -> None:
        self._queue.clear()
        self._waiting.clear()
        self._idle.set()


def _itself(item: Item) -> Hashable:
    return item
