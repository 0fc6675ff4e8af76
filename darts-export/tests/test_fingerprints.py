"""Fingerprints: what is read, what is not, and what counts as changed."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from darts_export import fingerprints
from darts_export.fingerprints import changes_of, fingerprint, sha256_of


def _write(path: Path, content: bytes, *, at_ns: int = 1_600_000_000_123_456_789) -> Path:
    path.write_bytes(content)
    os.utime(path, ns=(at_ns, at_ns))
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {name: _write(tmp_path / name, name.encode() * 100) for name in ("a.tif", "b.json")}


def test_a_fingerprint_is_size_time_and_content(files: dict[str, Path]) -> None:
    content = files["a.tif"].read_bytes()
    assert sha256_of(files["a.tif"]) == hashlib.sha256(content).hexdigest()
    found = fingerprint(files["a.tif"], name="scene/a.tif")
    assert (found.name, found.size, found.mtime_ns) == ("scene/a.tif", len(content), 1_600_000_000_123_456_789)
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert fingerprint(files["a.tif"], name="a", largest_hashed=len(content)).sha256 is not None
    assert fingerprint(files["a.tif"], name="a", largest_hashed=len(content) - 1).sha256 is None


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "gone", name="gone")


def test_changes_are_named(files: dict[str, Path]) -> None:
    known = [fingerprint(path, name=name) for name, path in files.items()]
    assert changes_of(known, files) == []
    assert changes_of(known[:1], files) == ["b.json is new"]
    assert changes_of(known, {"a.tif": files["a.tif"]}) == ["b.json is gone"]
    _write(files["a.tif"], b"A.TIF" * 100, at_ns=1)
    assert changes_of(known, files) == ["a.tif has another content"]
    _write(files["b.json"], b"short")
    assert changes_of(known, files) == ["a.tif has another content", "b.json has 5 bytes instead of 600"]
    files["b.json"].unlink()
    assert changes_of(known, files)[1] == "b.json cannot be read (No such file or directory)"


def test_another_time_alone_is_no_change_where_the_content_is_known(files: dict[str, Path]) -> None:
    known = [fingerprint(path, name=name) for name, path in files.items()]
    unread = [fingerprint(path, name=name, largest_hashed=0) for name, path in files.items()]
    os.utime(files["a.tif"], ns=(2, 2))
    assert changes_of(known, files) == []
    assert changes_of(unread, files) == ["a.tif has another time"]


def test_another_file_of_the_same_size_and_time_is_noticed(files: dict[str, Path]) -> None:
    """A copy that keeps the time (``cp -p``, ``rsync -t``, an archive) cannot keep the time of the system."""
    known = [fingerprint(path, name=name) for name, path in files.items()]
    unread = [fingerprint(path, name=name, largest_hashed=0) for name, path in files.items()]
    time.sleep(0.02)  # more than a tick of the file system's clock
    _write(files["a.tif"], b"A.TIF" * 100)
    files["b.json"].chmod(0o600)
    assert changes_of(known, files) == ["a.tif has another content"]
    assert fingerprint(files["a.tif"], name="a.tif").sha256 != known[0].sha256
    assert changes_of(unread, files) == []  # known by size and time alone


def test_what_did_not_change_is_not_read(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    known = [fingerprint(path, name=name) for name, path in files.items()]

    def read(path: str) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(fingerprints, "sha256_of", read)
    assert changes_of(known, files) == []
    assert [fingerprint(path, name=name) for name, path in files.items()] == known  # remembered
