"""What is said of the memory of a process is its own."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import machine

MIB = 2**20
HOLDS = "import time; held = b'x' * {size}; time.sleep(0.3)"


def peak(size: int) -> int:
    with (
        subprocess.Popen([sys.executable, "-c", HOLDS.format(size=size)]) as process,
        machine.watching_memory(process.pid) as held,
    ):
        process.wait()
    return max(held)


def test_the_memory_of_a_process_is_its_own_and_not_that_of_who_began_it() -> None:
    mine = b"x" * (200 * MIB)
    little, much = peak(0), peak(50 * MIB)
    assert little < 50 * MIB < much < len(mine)
    assert 40 * MIB < much - little < 60 * MIB
