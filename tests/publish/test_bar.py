"""The progress bar on a terminal."""

from __future__ import annotations

import io

from assetstore.publish.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_stage_has_a_bar_that_ends_full() -> None:
    terminal = Terminal()
    bar = Bar(terminal)
    for stage in ("fingerprinted files", "plain files"):
        bar.begin(stage, 2, 2000)
        bar.advance(1500)
        bar.advance(500)
        bar.end()
    told = terminal.getvalue()
    assert "fingerprinted files" in told
    assert "plain files" in told
    assert "2/2" in told
    assert "2.0 kB" in told
