"""``assetstore doctor``: what is wrong with a configuration and with a running deploy, the most harmful first."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum
from importlib.util import find_spec
from itertools import islice
from urllib.parse import urlsplit

from assetstore.assets import compression
from assetstore.backends.base import FileStat, read_bytes
from assetstore.check import check, live_entries
from assetstore.check.probes import Expect
from assetstore.cli.options import (
    Commands,
    add_app_option,
    add_command,
    add_output_options,
    load,
    mounts_in,
    paint,
    print_json,
)
from assetstore.errors import (
    AssetNotFound,
    AssetStoreError,
    BackendCredentials,
    BackendForbidden,
    BackendUnavailable,
    SettingsError,
)
from assetstore.mounts.mount import Mount
from assetstore.names.fingerprint import ContentFingerprint
from assetstore.names.published import ManifestResolver
from assetstore.store import AssetStore
from assetstore.templates.lint import lint

#: Files of one mount that are examined, and how many are requested from a deploy.
_MAX_FILES = 10_000
_SAMPLE = 12
#: A name that no mount has, to see what the storage says of a missing file.
_MISSING = "assetstore-doctor/no-such-file.txt"
_SECOND_NS = 1_000_000_000


class Harm(IntEnum):
    """What a finding does to visitors."""

    #: Files are not served.
    BROKEN = 0
    #: Old or wrong bytes may be shown, or caching is lost.
    WRONG = 1
    #: Everything arrives, later than it could.
    SLOW = 2


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that is wrong."""

    harm: Harm
    #: The mount that it is about; empty for the whole configuration.
    mount: str
    saw: str
    change: str


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "doctor", run, "look at a configuration and a deploy, and say what to change")
    add_app_option(parser)
    parser.add_argument("--url", metavar="URL", help="where the application runs, as https://www.example.com")
    add_output_options(parser, "print what is wrong alone")


def run(args: argparse.Namespace) -> int:
    if args.url and not urlsplit(args.url).netloc:
        raise SettingsError(f"--url={args.url!r} is no URL; a good one is 'https://www.example.com'")
    app = load(args.app)
    found = sorted(diagnose(app, args.url), key=lambda each: each.harm)
    if args.json:
        print_json([{**asdict(each), "harm": each.harm.name.lower()} for each in found])
        return 1 if found else 0
    for each in found:
        colour = "yellow" if each.harm is Harm.SLOW else "red"
        where = f"{each.mount}: " if each.mount else ""
        print(f"{paint(each.harm.name.lower(), colour)}  {where}{each.saw}\n  change: {each.change}")
    if not args.quiet:
        print(f"{len(found)} to change" if found else "nothing to change")
    return 1 if found else 0


def diagnose(app: object, url: str | None = None) -> Iterator[Advice]:
    """Everything that is wrong with the mounts of *app*, and with the deploy at *url* if one is given.

    Raises:
        SettingsError: *app* is no AssetStore, and no application with the routes of one.
    """
    mounts = mounts_in(app)
    if not len(mounts):
        yield Advice(Harm.BROKEN, "", "the store has no mount", "add one with assets.static(...)")
    for mount in mounts:
        name = mount.name or mount.url.base
        try:
            files = {stat.path: stat for stat in islice(mount.backend.walk(), _MAX_FILES)}
        except AssetStoreError as error:
            yield Advice(Harm.BROKEN, name, str(error), _cure(error))
            continue
        yield from _storage(mount, name, files)
        if mount.remote is None:
            yield from _times(mount, name, files.values())
            yield from _siblings(mount, name, files)
        yield from _manifest(mount, name, files)
        yield from _deploy(mount, name, url)
    yield from _extras(mounts)
    if isinstance(app, AssetStore):
        yield from _pages(app)


def _cure(error: AssetStoreError) -> str:
    if isinstance(error, BackendCredentials):
        return "renew the credentials, and compare the clock of this machine"
    if isinstance(error, BackendForbidden):
        return "allow s3:ListBucket on the bucket and s3:GetObject on its objects"
    if isinstance(error, BackendUnavailable):
        return "compare endpoint, region and network; `assetstore url` tries it again"
    return "correct the root, or publish to it"


def _storage(mount: Mount, name: str, files: Mapping[str, FileStat]) -> Iterator[Advice]:
    if not files:
        yield Advice(
            Harm.BROKEN, name, f"{mount.backend.label} holds no file", "publish to it, or correct the root's prefix"
        )
    if mount.remote is None:
        return
    try:
        mount.backend.stat(_MISSING)
    except AssetNotFound:
        return
    except BackendForbidden:
        change = "allow s3:ListBucket, so that a missing file is a 404; or storage_options forbidden_is_missing=true"
        yield Advice(Harm.WRONG, name, "the storage refuses to say that a file is missing", change)
    except AssetStoreError as error:
        yield Advice(Harm.BROKEN, name, str(error), _cure(error))


def _times(mount: Mount, name: str, files: Iterable[FileStat]) -> Iterator[Advice]:
    """Times that cannot tell versions apart, where names are made of them."""
    named_by_time = mount.fingerprinter is not None and not isinstance(mount.fingerprinter, ContentFingerprint)
    if not named_by_time or isinstance(mount.resolver, ManifestResolver):
        return
    times = [stat.mtime_ns for stat in files if stat.mtime_ns is not None]
    coarse = sum(moment % _SECOND_NS == 0 for moment in times)
    if coarse:
        saw = f"{coarse} of {len(times)} files have a modified time of whole seconds, as builds and archives set it"
        yield Advice(Harm.WRONG, name, saw, "give fingerprint='content', or a manifest from 'assetstore publish'")
    ahead = sum(moment > time.time_ns() + 60 * _SECOND_NS for moment in times)
    if ahead:
        saw = f"{ahead} of {len(times)} files have a modified time in the future"
        yield Advice(Harm.WRONG, name, saw, "correct the clock of the machine that built them, and build again")


def _siblings(mount: Mount, name: str, files: Mapping[str, FileStat]) -> Iterator[Advice]:
    """Compressed copies (``app.css.br``) that hold other bytes than the file beside them."""
    wrong = []
    for coding, suffix in compression.SUFFIXES.items():
        if coding not in compression.CODINGS:
            continue
        for path in files:
            plain = path.removesuffix(suffix)
            if plain != path and plain in files and not _same(mount, path, plain, coding):
                wrong.append(path)
    if wrong:
        saw = f"{len(wrong)} compressed copies do not hold the bytes of their file, as {wrong[0]}"
        yield Advice(Harm.WRONG, name, saw, "delete them, or compress again after each build")


def _same(mount: Mount, coded: str, plain: str, coding: str) -> bool:
    wanted = read_bytes(mount.backend, plain)
    return compression.decompress(read_bytes(mount.backend, coded), coding, len(wanted)) == wanted


def _manifest(mount: Mount, name: str, files: Mapping[str, FileStat]) -> Iterator[Advice]:
    if not isinstance(mount.resolver, ManifestResolver):
        return
    manifest = mount.resolver.manifest
    published = manifest.published_at.astimezone(UTC)
    age = f"the manifest is of {published:%Y-%m-%d} ({(datetime.now(UTC) - published).days} days old)"
    if gone := [path for path in manifest.entries if path not in files and len(files) < _MAX_FILES]:
        saw = f"{len(gone)} files of the manifest are not in {mount.backend.label}, as {gone[0]}; {age}"
        yield Advice(Harm.BROKEN, name, saw, "publish again, and deploy the manifest of that release with the code")
    other = [path for path, each in manifest.entries.items() if path in files and _differs(files[path], each.size)]
    if other:
        saw = f"{len(other)} files are not those of the manifest, as {other[0]}; {age}"
        yield Advice(Harm.WRONG, name, saw, "publish again, and deploy that manifest")
    if new := [
        path for path in files if mount.allows(path) and _is_asset(mount, path) and path not in manifest.entries
    ]:
        saw = f"{len(new)} files are not in the manifest, so they have no fingerprint, as {new[0]}; {age}"
        yield Advice(Harm.SLOW, name, saw, "publish again, and deploy that manifest")


def _differs(stat: FileStat, size: int) -> bool:
    return stat.coding is None and stat.size != size


def _is_asset(mount: Mount, path: str) -> bool:
    """Whether *path* is no compressed copy and no fingerprinted copy of another file."""
    return mount.split(path)[1] is None and not path.endswith(tuple(compression.SUFFIXES.values()))


def _deploy(mount: Mount, name: str, url: str | None) -> Iterator[Advice]:
    """What the CDN of a mount, or the running application, answers."""
    if mount.url.cross_origin:
        base = mount.url.base
    elif url:
        base = url.rstrip("/") + mount.url.origin
    else:
        return
    try:
        entries = live_entries(mount)
        expect = Expect(public=mount.public, application=True)
        report = check(base, entries, expect=expect, sample=_SAMPLE)
    except AssetStoreError as error:
        yield Advice(Harm.BROKEN, name, str(error), f"make {base} answer, or correct ASSETS_URL")
        return
    seen = set()
    for fault in report.faults:
        if fault.item not in seen:
            seen.add(fault.item)
            harm = Harm.BROKEN if fault.item.name in {"STATUS", "BYTES"} else Harm.WRONG
            yield Advice(harm, name, f"{fault.url}: {fault.saw}", fault.change)


def _extras(mounts: Iterable[Mount]) -> Iterator[Advice]:
    if "br" not in compression.CODINGS:
        change = "pip install 'assetstore[compress]'"
        yield Advice(Harm.SLOW, "", "text cannot be compressed with Brotli: its library is missing", change)
    if find_spec("aiohttp") is None and any(mount.backend.label.startswith("s3://") for mount in mounts):
        change = "pip install 'assetstore[s3]'"
        yield Advice(Harm.SLOW, "", "buckets are read in threads: aiohttp is missing", change)


def _pages(assets: AssetStore) -> Iterator[Advice]:
    for finding in lint(assets.pages.maps, assets.mounts):
        if finding.fault:
            yield Advice(Harm.BROKEN, "", str(finding), "correct the name, or add the file")
