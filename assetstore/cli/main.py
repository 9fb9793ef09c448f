"""The entry point ``assetstore``: its commands, and how an error becomes an exit code.

What failed is one line on stderr, and the exit code says of which kind it was:

0    done, also where nothing was to be done
1    done, and the answer is no: a check found faults, a file is missing, a release was not seen in time
2    usage: an argument or a setting is wrong
3    refused: somebody else published, a name is taken, a limit is exceeded, a manifest is damaged
4    storage failed, or does not answer
5    changes are pending: a dry run, or a prune without --yes, found something to do
6    the release is live, and a step after it failed: an invalidation, or the command of --on-live
130  interrupted
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from assetstore import __version__
from assetstore.cli import check, doctor, init, publish, serve, url
from assetstore.cli.options import StepAfterLive, add_command, paint
from assetstore.errors import (
    AssetStoreError,
    BackendError,
    BrokenReference,
    ManifestError,
    PublishConflict,
    PublishError,
    SettingsError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    top = parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell wants the next word: print it, and end
        import argcomplete

        argcomplete.autocomplete(top)
    if not (sys.argv[1:] if argv is None else argv):
        top.print_help(sys.stderr)
        return 2
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        args = top.parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except AssetStoreError as error:
        print(f"{paint('assetstore:', 'red', sys.stderr)} {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, less) has ended: what it did not read is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def exit_code(error: AssetStoreError) -> int:
    """The exit code for a failure of its kind."""
    if isinstance(error, StepAfterLive):
        return 6
    if isinstance(error, PublishConflict):
        return 3
    if isinstance(error, BackendError) or isinstance(error.__cause__, BackendError):
        return 4
    return 3 if isinstance(error, PublishError | ManifestError | BrokenReference) else 2


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, as every other error is said."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; see '{self.prog} --help'")


def parser() -> argparse.ArgumentParser:
    """Every command and its arguments, in the order in which ``--help`` names them."""
    top: argparse.ArgumentParser = _Parser(
        prog="assetstore",
        description="Static assets on disk, in a bucket and behind a CDN.",
        epilog="example:\n  assetstore init && uvicorn shop:app --reload",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"assetstore {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (init, serve, url, publish, check, doctor):
        module.add_parsers(commands)
    completion = add_command(
        commands, "completion", _print_completion, "print what makes a shell complete this command"
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish", "powershell"), help="the shell")
    return top


def _print_completion(args: argparse.Namespace) -> int:
    """``assetstore completion``, by argcomplete (extra ``completion``)."""
    try:
        import argcomplete.shell_integration
    except ImportError:
        raise SettingsError("completion needs argcomplete; pip install 'assetstore[completion]'") from None
    # zsh reads bash's form after bashcompinit, which argcomplete's script loads.
    print(argcomplete.shell_integration.shellcode(["assetstore"], shell=args.shell))
    return 0
