"""An archive from outside is a list of plain files, or nothing."""

import gzip
import io
import tarfile
import tracemalloc

import pytest

from consent_core.errors import Untrusted
from consent_core.policy.archive import MAX_FILES, MAX_PACKED_BYTES, MAX_UNPACKED_BYTES, pack, unpack


def archive(*entries, fmt=tarfile.USTAR_FORMAT):
    """A tar.gz of (name, changes of the entry, content)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=fmt) as tar:
        for name, changes, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for field, value in changes.items():
                setattr(entry, field, value)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue())


def refused(data):
    with pytest.raises(Untrusted) as refusal:
        unpack(data)
    return refusal.value.code


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../x", "/etc/passwd", "./x", "a//b", "a/", "a\\b", "a\nb", "C:x", "a/./b", "..", "é", "a b", "x" * 101],
)
def test_paths_that_climb_or_hide_are_refused(name):
    """Nothing is ever written to disk by its name, and still no such name is accepted."""
    assert refused(archive((name, {}, b"x"), fmt=tarfile.GNU_FORMAT)) in {"bundle-path", "bundle-entry"}


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.CONTTYPE,
    ],
)
def test_links_devices_and_folders_are_refused(kind):
    """Only plain files."""
    assert refused(archive(("x", {"type": kind, "linkname": "/etc/passwd"}, b""))) == "bundle-entry"


def test_pax_headers_are_refused():
    """They can rename and resize what follows."""
    data = archive(("x", {"pax_headers": {"path": "y"}}, b"x"), fmt=tarfile.PAX_FORMAT)

    assert refused(data) == "bundle-entry"


def test_a_name_twice_is_refused():
    """Two readers might believe different ones."""
    assert refused(archive(("x", {}, b"1"), ("x", {}, b"2"))) == "bundle-duplicate"


def test_a_bomb_is_refused_before_it_unfolds():
    """A quarter of a gigabyte of zeros costs no more memory than the limit."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as bomb:
        for _ in range(256):
            bomb.write(bytes(1_048_576))
    tracemalloc.start()

    assert refused(stream.getvalue()) == "bundle-too-large"
    assert tracemalloc.get_traced_memory()[1] < 3 * MAX_UNPACKED_BYTES
    tracemalloc.stop()


def test_too_many_bytes_or_files_are_refused():
    """Limits on what arrives and on how many files it names."""
    many = [(f"f{number}", {}, b"") for number in range(MAX_FILES + 1)]

    assert refused(bytes(MAX_PACKED_BYTES + 1)) == "bundle-too-large"
    assert refused(archive(*many)) == "bundle-too-large"
    assert len(unpack(archive(*many[:-1]))) == MAX_FILES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not gzip",
        gzip.compress(b"not tar, but long enough to look at" * 40, mtime=0),
        pack({"x": b"1"})[:-9],
        pack({"x": b"1"}) + b"trailing",
        pack({"x": b"1"}) + pack({"y": b"2"}),
    ],
    ids=["nothing", "not gzip", "not tar", "cut off", "something after it", "two"],
)
def test_what_is_no_single_complete_archive_is_refused(data):
    """Cut off, followed by something, or another format."""
    assert refused(data) == "bundle-archive"


def test_an_entry_that_promises_more_than_there_is_is_refused():
    """The header says 4 GiB, the archive holds a few bytes."""
    raw = bytearray(gzip.decompress(pack({"x": b"1"})))
    entry = tarfile.TarInfo("x")
    entry.size = 4 * 2**30
    raw[:512] = entry.tobuf(tarfile.USTAR_FORMAT)

    assert refused(gzip.compress(bytes(raw))) == "bundle-archive"
