"""Publishing from any state: edits, kills, rollbacks, prunes, other publishers and a store that misbehaves, in any order.

After each step that succeeded, every URL of the live release answers its bytes over HTTP, and every older kept
release is whole under its fingerprinted names; ``check`` finds nothing at any time. ``PUBLISH_STEPS`` and
``PUBLISH_EXAMPLES`` in the environment ask for more.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from starlette.applications import Starlette

from assetstore.assets.compression import decompress
from assetstore.assets.paths import to_url
from assetstore.backends.base import BytesFile, WritableBackend, WriteOptions, read_bytes
from assetstore.backends.remote import RemoteLimits
from assetstore.check import check, probes
from assetstore.check.client import CdnClient
from assetstore.check.probes import Expect
from assetstore.errors import AssetNotFound, BackendError, ManifestError, PublishError
from assetstore.names.manifest import Manifest
from assetstore.publish import lock, publish
from assetstore.publish.layout import open_target
from assetstore.publish.prune import Keep
from assetstore.publish.prune import apply as apply_prune
from assetstore.publish.prune import plan as plan_prune
from assetstore.publish.releases import Releases
from assetstore.publish.rollback import PREVIOUS, rollback
from assetstore.store import AssetStore
from servers.misbehaving import FAULTS, MisbehavingS3

PATHS = ("app.css", "js/app.js", "img/logo.svg", "notes.txt")
#: Of one size, so that size alone tells nothing; long enough to be worth encoding.
CONTENTS = tuple(f"/* {word} */\n" * 120 for word in ("red", "tan", "sky"))
STEPS = int(os.environ.get("PUBLISH_STEPS", "10"))
EXAMPLES = int(os.environ.get("PUBLISH_EXAMPLES", "3"))


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """A target whose process is killed after so many writes: nothing it does afterwards reaches the target."""

    def __init__(self, inner: Any, writes: int) -> None:
        self._inner = inner
        self._left = writes
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        if self._dead:
            raise Killed
        return getattr(self._inner, name)

    @property
    def dot_names(self) -> Any:
        return self._inner.dot_names

    @dot_names.setter
    def dot_names(self, names: Any) -> None:
        self._inner.dot_names = names

    @property
    def conditional_creates(self) -> Any:
        return self._inner.conditional_creates

    @conditional_creates.setter
    def conditional_creates(self, value: Any) -> None:
        self._inner.conditional_creates = value

    @property
    def conditional_replaces(self) -> Any:
        return self._inner.conditional_replaces

    @conditional_replaces.setter
    def conditional_replaces(self, value: Any) -> None:
        self._inner.conditional_replaces = value

    def stat(self, path: str) -> Any:
        return self.__getattr__("stat")(path)

    def open(self, path: str, *rest: Any, **options: Any) -> Any:
        return self.__getattr__("open")(path, *rest, **options)

    def walk(self) -> Any:
        return self.__getattr__("walk")()

    def write(self, path: str, source: Any, options: Any) -> Any:
        write = self.__getattr__("write")
        self._left -= 1
        if self._left < 0:
            self._dead = True
            raise Killed
        return write(path, source, options)

    def delete(self, path: str) -> None:
        self.__getattr__("delete")(path)


class Suspended(Dying):
    """A target whose process is suspended at a write, with its heartbeat, until :meth:`resume`."""

    def __init__(self, inner: Any, writes: int) -> None:
        super().__init__(inner, writes)
        self.stopped, self.resumed = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        if self.stopped.is_set() and not self.resumed.wait(60):
            raise Killed
        return getattr(self._inner, name)

    def write(self, path: str, source: Any, options: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self.stopped.set()
        return self.__getattr__("write")(path, source, options)


class Swapped:
    """An ASGI application that can be exchanged while a server runs it."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Publishing(RuleBasedStateMachine):
    """One target, and what it has to hold."""

    #: The address of a server that runs :attr:`served`.
    address: str = ""
    served = Swapped()

    #: The faults that may be switched on and off; which conditions the store has is decided once.
    faults: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ("",)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="assetstore-machine-"))
        self.trees = {name: self.folder / name for name in ("ours", "theirs")}
        for tree in self.trees.values():
            for path in PATHS:
                self._put(tree, path, CONTENTS[0])
        #: What each kept release is made of.
        self.made: dict[str, dict[str, bytes]] = {}
        self.live: str | None = None
        #: Names that were overwritten and not repaired since.
        self.broken: set[str] = set()
        self.open_target()

    def open_target(self) -> None:
        raise NotImplementedError

    def fresh(self) -> WritableBackend:
        """The target as a new process opens it."""
        raise NotImplementedError

    def quiet(self) -> Any:
        """Without faults, for looking at the target."""
        raise NotImplementedError

    @property
    def root(self) -> dict[str, Any]:
        """The arguments of ``static`` by which the target is served."""
        raise NotImplementedError

    def _put(self, tree: Path, path: str, content: str) -> None:
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def _contents(self, tree: Path) -> dict[str, bytes]:
        return {path: (tree / path).read_bytes() for path in PATHS if (tree / path).exists()}

    def _publish(self, who: str, target: Any, siblings: tuple[str, ...] = ()) -> Manifest:
        store = AssetStore({})
        mount = store.static("/assets/", root=self.trees[who], name="assets", fingerprint="content")
        return publish(mount, target, siblings=siblings, workers=3).manifest

    def _published(self, manifest: Manifest, who: str) -> None:
        self.made[manifest.release] = self._contents(self.trees[who])
        self.live = manifest.release
        self.broken -= {each.path for each in manifest.objects()}
        self.check_target()

    def _failed(self, *candidates: str) -> None:
        """After a failure the live release is the one before, or a new one of the tree that was published."""
        with self.quiet():
            state = Releases(self.fresh()).read()
        if state is None:
            assert self.live is None
            return
        release = state.current.release
        if release != self.live:
            made = {path: entry.sha256 for path, entry in state.current.entries.items()}
            trees = [self._contents(self.trees[who]) for who in candidates]
            match = [each for each in trees if {p: hashlib.sha256(d).hexdigest() for p, d in each.items()} == made]
            known = self.made.get(release)
            assert match or known is not None
            self.made[release] = known if known is not None else match[0]
            self.live = release

    @rule(who=st.sampled_from(["ours", "theirs"]), path=st.sampled_from(PATHS), content=st.sampled_from(CONTENTS))
    def edit(self, who: str, path: str, content: str) -> None:
        self._put(self.trees[who], path, content)

    @rule(who=st.sampled_from(["ours", "theirs"]), path=st.sampled_from(PATHS[1:]))
    def remove(self, who: str, path: str) -> None:
        (self.trees[who] / path).unlink(missing_ok=True)

    @rule(who=st.sampled_from(["ours", "ours", "theirs"]), siblings=st.sampled_from([(), ("gzip",)]))
    def publish(self, who: str, siblings: tuple[str, ...]) -> None:
        try:
            manifest = self._publish(who, self.fresh(), siblings)
        except (PublishError, BackendError, ManifestError):
            self._failed(who)
        else:
            self._published(manifest, who)

    @rule(who=st.sampled_from(["ours", "theirs"]), writes=st.integers(0, 14))
    def killed(self, who: str, writes: int) -> None:
        try:
            manifest = self._publish(who, Dying(self.fresh(), writes))
        except (Killed, PublishError, BackendError, ManifestError):
            self._failed(who)
            self.broken |= set(PATHS)  # plain names are of either until a publish or a rollback ends
        else:
            self._published(manifest, who)

    @rule()
    def race(self) -> None:
        ended: dict[str, Manifest | None] = {}

        def run(who: str) -> None:
            ended[who] = None
            with suppress(PublishError, BackendError, ManifestError):
                ended[who] = self._publish(who, self.fresh())

        threads = [threading.Thread(target=run, args=(who,)) for who in self.trees]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._ended(ended)

    @rule(writes=st.integers(1, 14))
    def suspended(self, writes: int) -> None:
        """A publisher is suspended for longer than its lease; another one publishes; then the first goes on."""
        target = Suspended(self.fresh(), writes)
        ended: dict[str, Manifest | None] = {"ours": None, "theirs": None}

        def run() -> None:
            with suppress(PublishError, BackendError, ManifestError):
                ended["ours"] = self._publish("ours", target)
            target.stopped.set()

        thread = threading.Thread(target=run)
        thread.start()
        assert target.stopped.wait(60)
        with suppress(PublishError, BackendError, ManifestError):
            ended["theirs"] = self._publish("theirs", self.fresh())
        target.resumed.set()
        thread.join()
        self._ended(ended)

    def _ended(self, ended: dict[str, Manifest | None]) -> None:
        """Judge what several publishers were told."""
        with self.quiet():
            state = Releases(self.fresh()).read()
        won = {who: manifest for who, manifest in ended.items() if manifest is not None}
        kept = set() if state is None else {each.id for each in state.releases}
        for who, manifest in won.items():
            assert manifest.release in kept, "said to be live, and no release knows of it"
            self.made[manifest.release] = self._contents(self.trees[who])
        self._failed(*self.trees)
        if any(manifest.release == self.live for manifest in won.values()):
            self.broken.clear()
            self.check_target()
        else:
            self.broken |= set(PATHS)

    @precondition(lambda self: self.live is not None)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        wanted = data.draw(st.sampled_from([PREVIOUS, *sorted(self.made)]))
        try:
            live = rollback(self.fresh(), wanted)
        except (PublishError, BackendError, ManifestError):
            self._failed()
            self.broken |= set(PATHS)
        else:
            self.live = live.release
            self.broken.clear()
            self.check_target()

    @precondition(lambda self: self.live is not None)
    @rule(keep=st.integers(1, 3))
    def prune(self, keep: int) -> None:
        target = self.fresh()
        try:
            apply_prune(plan_prune(target, Keep(keep), datetime.now(UTC) + timedelta(days=2)), target, workers=2)
        except (PublishError, BackendError, ManifestError):
            return
        self.check_target()

    @precondition(lambda self: self.live is not None and not self.broken)
    @rule()
    def check_over_http(self) -> None:
        with self.quiet(), self._serving():
            live = Releases(self.fresh()).require().current
            found = check(f"{self.address}/assets/", live.entries, expect=Expect(application=True))
        assert found.faults == []
        assert found.files == len(live.entries)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        """The target is served by an application that begins now."""
        with AssetStore({}) as store:
            store.static("/assets/", name="assets", **self.root)
            self.served.app = Starlette(routes=store.routes)
            yield

    @precondition(lambda self: self.live is not None)
    @rule(path=st.sampled_from(PATHS), content=st.sampled_from(CONTENTS))
    def overwrite(self, path: str, content: str) -> None:
        """Another tool writes to a plain name of the target."""
        with self.quiet():
            target = self.fresh()
            target.write(path, BytesFile.of(path, content.encode()), WriteOptions("text/plain", "no-store"))
        self.broken.add(path)

    @precondition(lambda self: self.faults)
    @rule(data=st.data())
    def misbehave(self, data: st.DataObject) -> None:
        self.set_faults(data.draw(st.sets(st.sampled_from(self.faults), max_size=2)))

    def set_faults(self, faults: set[str]) -> None:
        raise NotImplementedError

    def check_target(self) -> None:
        """Every name of the live release has its bytes, and every kept release is whole."""
        with self.quiet():
            target = self.fresh()
            state = Releases(target).require()
            assert state.current.release == self.live
            kept = {each.id for each in state.releases}
            self.made = {release: made for release, made in self.made.items() if release in kept}
            for release in kept:
                live = release == state.current.release
                manifest = state.current if live else Releases(target).manifest(release)
                made = self.made[release]
                assert set(manifest.entries) == set(made)
                for path, entry in manifest.entries.items():
                    assert hashlib.sha256(made[path]).hexdigest() == entry.sha256
                    for each in entry.stored:
                        if (live or entry.immutable(each)) and each.path not in self.broken:
                            self._check_bytes(target, each.path, each.coding, made[path])

        with self.quiet(), self._serving():
            client = CdnClient(f"{self.address}/assets/")
            for path, entry in state.current.entries.items():
                for name in {entry.fingerprinted_path, path} - self.broken:
                    response = client.get(to_url(name), Accept_Encoding="identity")
                    assert (response.status, response.sha256) == (200, entry.sha256), (name, response)
            client.close()

    @staticmethod
    def _check_bytes(target: WritableBackend, path: str, coding: str | None, wanted: bytes) -> None:
        try:
            data: bytes | None = read_bytes(target, path)
        except AssetNotFound:
            raise AssertionError(f"{path} is gone") from None
        if coding is not None and data is not None:
            data = decompress(data, coding, len(wanted))
        assert data == wanted, path

    def teardown(self) -> None:
        # Whatever happened, one more publish without faults ends with the release that it says.
        self.set_faults(set())
        with suppress(PublishError):  # nothing was published yet
            apply_prune(plan_prune(self.fresh(), Keep(99), datetime.now(UTC)), self.fresh())
        manifest = self._publish("ours", self.fresh())
        self._published(manifest, "ours")
        assert self._publish("ours", self.fresh()).release == manifest.release
        self.check_over_http()
        shutil.rmtree(self.folder)


class ToFolder(Publishing):
    """The target is a directory."""

    def open_target(self) -> None:
        pass

    def fresh(self) -> WritableBackend:
        return open_target(self.folder / "out")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        yield

    def set_faults(self, faults: set[str]) -> None:
        pass

    @property
    def root(self) -> dict[str, Any]:
        return {"root": self.folder / "out"}


def to_s3(store: MisbehavingS3, client: Any, bucket: str) -> type[Publishing]:
    class ToS3(Publishing):
        """The target is a bucket behind a store that misbehaves."""

        faults = tuple(
            fault for fault in FAULTS if fault not in {"ignores conditions", "has no conditions", "encrypts"}
        )

        def open_target(self) -> None:
            self.prefix = uuid.uuid4().hex
            self._faults: set[str] = set()
            self._conditions: set[str] = set()

        @initialize(
            conditions=st.sampled_from(["", "", "ignores conditions", "has no conditions"]), encrypts=st.booleans()
        )
        def choose_conditions(self, conditions: str, encrypts: bool) -> None:
            self._conditions = {conditions, "encrypts" if encrypts else ""} - {""}
            store.faults = set(self._conditions)

        @property
        def options(self) -> dict[str, Any]:
            return {
                "endpoint_url": store.endpoint_url,
                "aws_access_key_id": "testing",
                "aws_secret_access_key": "testing",
                "region_name": "us-east-1",
                "addressing_style": "path",
                "attempts": 3,
                "read_timeout_seconds": 20,
            }

        @property
        def root(self) -> dict[str, Any]:
            # Read in threads: connections of a loop that runs elsewhere cannot be closed from here.
            options = {**self.options, "reader": "threads"}
            # What a slow machine takes longer for is no fault of the release.
            limits = RemoteLimits(connect_seconds=30, read_seconds=60, total_seconds=120, wait_seconds=60)
            return {"root": f"s3://{bucket}/{self.prefix}", "storage_options": options, "limits": limits}

        def fresh(self) -> WritableBackend:
            return open_target(f"s3://{bucket}/{self.prefix}", self.options)

        @contextmanager
        def quiet(self) -> Iterator[None]:
            store.faults = set(self._conditions)
            yield
            store.faults = self._conditions | self._faults

        def set_faults(self, faults: set[str]) -> None:
            self._faults = faults
            store.faults = self._conditions | faults

    return ToS3


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch, serve_app: Callable[[Any], str]) -> None:
    """Leases and pauses of the lock and between attempts that are short enough for a test; and a server."""
    monkeypatch.setattr(Publishing, "address", serve_app(Publishing.served))
    monkeypatch.setattr(probes, "SECOND_LOOK_SECONDS", 0.01)
    unhandled = threading.excepthook
    monkeypatch.setattr(
        threading, "excepthook", lambda args: None if args.exc_type is Killed else unhandled(args)
    )  # the heartbeat of a killed process dies with it
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.15)
    monkeypatch.setattr("assetstore.util.random.random", lambda: 0.0)
    monkeypatch.setattr("assetstore.publish.pool.backoff_seconds", lambda *_, **__: 0.01)
    monkeypatch.setattr("assetstore.backends.s3.upload.backoff_seconds", lambda *_, **__: 0.01)
    monkeypatch.setattr("assetstore.backends.s3.bucket.backoff_seconds", lambda *_, **__: 0.01)


def _settings() -> settings:
    return settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


@pytest.mark.timeout(600)
def test_publishing_to_a_directory_from_any_state(short_waits: None) -> None:
    run_state_machine_as_test(ToFolder, settings=_settings())


@pytest.mark.timeout(600)
def test_publishing_to_a_store_that_misbehaves_from_any_state(short_waits: None, misbehaving_s3: MisbehavingS3) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=misbehaving_s3.endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    bucket = f"machine-{uuid.uuid4().hex[:12]}"
    misbehaving_s3.faults = set()
    client.create_bucket(Bucket=bucket)
    try:
        run_state_machine_as_test(to_s3(misbehaving_s3, client, bucket), settings=_settings())
    finally:
        misbehaving_s3.faults = set()
        client.close()
