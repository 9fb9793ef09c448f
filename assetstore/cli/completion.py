"""``assetstore completion``: the words that a shell completes after Tab, by argcomplete (extra ``completion``)."""

from __future__ import annotations

import argparse
import os

from assetstore.cli.options import Commands, add_command
from assetstore.errors import SettingsError


def add_parsers(commands: Commands) -> None:
    parser = add_command(commands, "completion", run, "print what makes a shell complete this command")
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "powershell"), help="the shell")


def run(args: argparse.Namespace) -> int:
    try:
        import argcomplete.shell_integration
    except ImportError:
        raise SettingsError("completion needs argcomplete; pip install 'assetstore[completion]'") from None
    # zsh reads bash's form after bashcompinit, which argcomplete's script loads.
    print(argcomplete.shell_integration.shellcode(["assetstore"], shell=args.shell))
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for the next word, and end; return at once for any other call."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete.shell_integration

        argcomplete.autocomplete(parser)
