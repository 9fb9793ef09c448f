"""A variant is the same bytes made smaller, or there is none."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from assetstore.assets.compression import CODINGS, SUFFIXES, compress, decompress, decompressed_sha256
from assetstore.errors import BackendUnavailable

TEXT = b"body { margin: 0; padding: 0; color: #123456 }\n" * 100

DECOMPRESS = {
    "br": brotli.decompress,
    "zstd": zstandard.ZstdDecompressor().decompress,
    "gzip": gzip.decompress,
}


def test_all_three_codings_are_here_the_best_first() -> None:
    assert CODINGS == ("br", "zstd", "gzip")
    assert tuple(SUFFIXES) == CODINGS


@pytest.mark.parametrize("thorough", [False, True], ids=["quick", "thorough"])
@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_compressed_comes_back(coding: str, thorough: bool) -> None:
    smaller = compress(TEXT, coding, thorough=thorough)
    assert smaller is not None
    assert len(smaller) < len(TEXT)
    assert DECOMPRESS[coding](smaller) == TEXT


@pytest.mark.parametrize("coding", CODINGS)
def test_noise_gains_nothing(coding: str) -> None:
    assert compress(os.urandom(4096), coding) is None
    assert compress(b"", coding) is None


@pytest.mark.parametrize("coding", CODINGS)
def test_equal_bytes_give_equal_bytes(coding: str) -> None:
    assert compress(TEXT, coding) == compress(TEXT, coding)


@given(st.binary(max_size=2000), st.sampled_from(CODINGS))
def test_any_bytes_come_back_or_are_left_alone(data: bytes, coding: str) -> None:
    smaller = compress(data, coding)
    assert smaller is None or DECOMPRESS[coding](smaller) == data


def test_without_the_libraries_there_is_gzip() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['brotli', 'zstandard', 'compression.zstd']));"
        "from assetstore.assets.compression import CODINGS; print(CODINGS)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "('gzip',)"


@given(st.binary(max_size=5000), st.sampled_from(CODINGS))
def test_what_is_stored_in_a_coding_is_read_again(data: bytes, coding: str) -> None:
    coded = {"br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress, "gzip": gzip.compress}[coding](data)
    assert decompress(coded, coding, 5000) == data


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_is_left_alone(coding: str) -> None:
    bomb = compress(bytes(50_000_000), coding)
    assert bomb is not None
    assert len(bomb) < 100_000
    assert decompress(bomb, coding, 1_000_000) is None
    assert decompress(bomb, coding, 50_000_000) == bytes(50_000_000)


@pytest.mark.parametrize("coding", [*CODINGS, "compress", "identity", ""])
def test_what_cannot_be_read_is_none(coding: str) -> None:
    assert decompress(b"this is not coded at all", coding, 1000) is None


@pytest.mark.parametrize("coding", CODINGS)
def test_half_of_it_is_none(coding: str) -> None:
    whole = compress(os.urandom(3000) + bytes(3000), coding)
    assert whole is not None
    assert decompress(whole[: len(whole) // 2], coding, 10_000) is None


@given(st.binary(max_size=3000), st.sampled_from(CODINGS), st.integers(1, 400), st.integers(1, 300))
def test_the_digest_is_that_of_the_plain_bytes_however_the_coded_ones_come(
    data: bytes, coding: str, times: int, piece: int
) -> None:
    plain = data * times
    coded = {"br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress, "gzip": gzip.compress}[coding](plain)
    chunks = [coded[start : start + piece] for start in range(0, len(coded), piece)]
    assert decompressed_sha256(chunks, coding, len(plain)) == hashlib.sha256(plain).hexdigest()
    assert decompressed_sha256(chunks, coding, len(plain) + 1) is None
    assert not plain or decompressed_sha256(chunks, coding, len(plain) - 1) is None
    assert decompressed_sha256(chunks[:-1], coding, len(plain)) is None


def test_a_fault_of_the_storage_is_none_of_the_bytes() -> None:
    def chunks() -> Iterator[bytes]:
        yield gzip.compress(b"one")[:5]
        raise BackendUnavailable("it broke off")

    with pytest.raises(BackendUnavailable):
        decompressed_sha256(chunks(), "gzip", 3)
