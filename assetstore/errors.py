"""Every error the package raises, as one tree.

AssetStoreError
├─ SettingsError           a setting or argument is missing or malformed; found at wiring
├─ UnsafePath              a path tried to leave its mount, or is spelled in a forbidden way
├─ MountNotFound           no mount has that name
├─ AssetNotFound           the backend says the file is not there (also a FileNotFoundError)
├─ BrokenReference         a style sheet names files that are not there, where that is an error
├─ ManifestError           a manifest is missing, foreign or of a newer format
├─ BackendError            storage failed; the cause is kept, never shown to a client
│  ├─ BackendForbidden         policy says no
│  ├─ BackendCredentials       credentials are wrong, missing or expired
│  ├─ BackendUnavailable       it cannot be reached, or it broke
│  │  ├─ BackendThrottled          it asks for fewer requests
│  │  └─ BackendTimeout            it did not answer in time
│  ├─ UnexpectedResponse       it answered with what makes no sense: a proxy's page, no length, a broken listing
│  ├─ RangeNotSatisfiable      the wanted bytes lie outside the file
│  ├─ VersionChanged           the file is no longer the version that was requested
│  └─ BodyTruncated            fewer or other bytes arrived than were promised
└─ PublishError            a publish, prune, rollback or check could not finish
   └─ PublishConflict          somebody else holds, or has already written, what this needs
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Sequence

#: What stands before the host of a URL: of ``user:password@`` the user is kept (an Azure URL has its container there,
#: without a colon), but of an HTTP URL nothing, since ``https://token@host`` is usual. Queries hold tokens and signatures.
_PASSWORD = re.compile(r"(?<=://)([^/@:\s'\"]*):[^/@\s'\"]*@")
_TOKEN = re.compile(r"\b(https?://)[^/@:\s'\"]+@", re.IGNORECASE)
_QUERY = re.compile(r"([\w+.-]+://[^\s?'\"]*)\?[^\s'\"]+?(?=::|[\s'\"]|$)")


def without_secrets(text: str) -> str:
    """*text* as messages may show it: its URLs without passwords, tokens and queries, in each part of a chained one."""
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1", _TOKEN.sub(r"\1", _PASSWORD.sub(r"\1@", text)))


class _WithoutSecrets(logging.Filter):
    """The same for what this package logs, and for the tracebacks of foreign errors behind its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (shown := without_secrets(message)) != message:
            record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[1] is not None:
            text = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
            if (shown := without_secrets(text)) != text:
                record.exc_text = shown
        return True


logging.getLogger("assetstore").addFilter(_WithoutSecrets())


class AssetStoreError(Exception):
    """Anything this package raises on purpose. No message shows a password, token or query of a URL."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_secrets(each) if isinstance(each, str) else each for each in args))


class SettingsError(AssetStoreError):
    """A setting or argument is missing or malformed; the message shows a good value."""


class UnsafePath(AssetStoreError, ValueError):
    """A path tried to leave its mount, or is spelled in a way no asset may be."""


class MountNotFound(AssetStoreError, LookupError):
    """No mount has the name that was given."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        names = ", ".join(repr(each) for each in known) or "none yet; add one with assets.static(...)"
        super().__init__(f"no mount is named {name!r}; the mounts are: {names}")
        self.name = name
        self.known = tuple(known)


class AssetNotFound(AssetStoreError, FileNotFoundError):
    """The backend says that the file is not there."""

    def __init__(self, path: str, where: str = "", hint: str = "") -> None:
        message = f"no asset {path!r}" + (f" in {where}" if where else "") + (f"; {hint}" if hint else "")
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])


class BrokenReference(AssetStoreError):
    """Files name others that are not there; the message has file, line and column of each."""


class ManifestError(AssetStoreError):
    """A manifest is missing, is not one of ours, or is of a newer format."""


class BackendError(AssetStoreError):
    """Storage failed. What the provider said stays in the cause, for the operator's log."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class BackendForbidden(BackendError):
    """The storage's policy refuses the request; this is never the same as missing."""


class BackendCredentials(BackendError):
    """The credentials are wrong, missing or expired."""


class BackendUnavailable(BackendError):
    """The storage cannot be reached, or answered with a fault of its own."""


class BackendThrottled(BackendUnavailable):
    """The storage asks for fewer requests; ``retry_after_seconds`` when it said for how long."""

    def __init__(self, message: str, *, path: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(message, path=path)
        self.retry_after_seconds = retry_after_seconds


class BackendTimeout(BackendUnavailable):
    """The storage did not answer in time."""


class UnexpectedResponse(BackendError):
    """The storage answered, but not as storage does: the page of a proxy, no length, a broken listing."""


class RangeNotSatisfiable(BackendError):
    """The wanted bytes lie outside the file; ``size`` is the file's length when known."""

    def __init__(self, message: str, *, path: str = "", size: int | None = None) -> None:
        super().__init__(message, path=path)
        self.size = size


class VersionChanged(BackendError):
    """The file is no longer the version that was requested."""


class BodyTruncated(BackendError):
    """Fewer or other bytes arrived than the headers promised."""


class PublishError(AssetStoreError):
    """A publish, prune, rollback or check could not finish; the message says how to resume."""


class PublishConflict(PublishError):
    """Somebody else holds, or has already written, what this operation needs."""
