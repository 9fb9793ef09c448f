"""``storage_options`` as typed values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from assetstore.errors import SettingsError

Options = TypeVar("Options")

#: The options of every storage with a backend of its own, by all their names; a test compares them with the backends.
KNOWN = frozenset(
    """
    account account_host account_key account_name account_url anon attempts aws_access_key_id aws_secret_access_key
    aws_session_token addressing_style backend connect_timeout_seconds connection_string credential endpoint endpoint_url
    forbidden_is_missing headers key max_connections profile profile_name project put_arguments read_timeout_seconds
    reader region region_name requester_pays sas_token secret service token unsigned user_project verify
    write_timeout_seconds
    """.split()
)


def parse(
    cls: type[Options],
    options: Mapping[str, Any],
    aliases: Mapping[str, str],
    service: str,
    schemes: Iterable[str] = (),
) -> Options:
    """*options* as an instance of the dataclass *cls*.

    Args:
        schemes: whose defaults in ``fsspec.config`` (files in ``~/.config/fsspec``, ``FSSPEC_*``) fill
            what is not given, as far as *cls* has such fields.
        aliases: other names of its fields, as fsspec's own filesystems spell them.
        service: what a message calls the storage: ``S3``.

    Raises:
        SettingsError: an option is unknown, or given under two names, or a limit is not above zero.
    """
    known = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for name, value in options.items():
        real = aliases.get(name, name)
        if real not in known:
            raise SettingsError(f"storage_options of {service} know no {name!r}; they are: {', '.join(sorted(known))}")
        if real in given:
            raise SettingsError(f"storage_options give {real!r} twice, once as {name!r}; give it once")
        default = known[real].default
        if default is not MISSING and type(default) in {int, float} and not (_is_number(value) and value > 0):
            raise SettingsError(f"storage_options[{name!r}] is {value!r}; it must be a number above zero")
        given[real] = value
    from fsspec.config import conf  # fsspec takes 140 ms to import

    for name, value in ((name, value) for scheme in schemes for name, value in conf.get(scheme, {}).items()):
        if (real := aliases.get(name, name)) in known:
            given.setdefault(real, value)
    return cls(**given)


def check_names(options: Mapping[str, Any]) -> None:
    """Look over *options* that nobody reads here: a local root ignores what a bucket needs.

    Raises:
        SettingsError: one is spelled almost as an option of a storage that is known.
    """
    if not options:
        return
    import difflib

    for name in options:
        if name not in KNOWN and (close := difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.85)):
            raise SettingsError(f"storage_options know no {name!r}; did you mean {close[0]!r}?")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
