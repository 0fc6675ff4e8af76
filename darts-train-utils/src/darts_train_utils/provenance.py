"""Where a model comes from: fingerprint of its data, revision of the source, versions of the packages."""

import contextlib
import hashlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from darts_utils.files import TEMPORARY_PREFIX

_READ_WHOLE = {".parquet", ".json"}
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_INSTALLED = {"site-packages", "dist-packages"}


def data_fingerprint(folder: str | os.PathLike[str]) -> str:
    """Compute what tells one patch store from another.

    Args:
        folder: Of the store.

    Returns:
        SHA-256 over the names and sizes of all its files, and over the content of the tables (``.parquet``, ``.json``). The
        compressed pixels count by their sizes, so that it takes no time.
    """
    digest = hashlib.sha256()
    root = Path(folder)
    paths = (Path(place) / name for place, _, names in os.walk(root / "scenes") for name in names)
    found = {path.relative_to(root).as_posix(): path for path in paths}
    for name in sorted(found):
        if TEMPORARY_PREFIX in name:
            continue
        path = found[name]
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        if path.suffix in _READ_WHOLE:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return Python's version and those of distributions.

    Args:
        names: Of the distributions; those that are not installed are left out.

    Examples:
        >>> sorted(package_versions(["numpy", "no-such-package"]))
        ['numpy', 'python']
    """
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def git_revision(source: str | os.PathLike[str]) -> str | None:
    """Find the commit that a source file is of.

    Args:
        source: A file or folder.

    Returns:
        The commit in hexadecimal; None outside a git repository, for an installed package, and where git keeps its references
        in another way than in files. Nothing is run. What has changed since the commit is not noticed.
    """
    place = Path(source).resolve()
    if _INSTALLED & set(place.parts):  # the repository around an environment is another project's
        return None
    for folder in (place, *place.parents):
        if (folder / ".git").exists():
            return _head(folder / ".git")
    return None


def _head(git: Path) -> str | None:
    if git.is_file():  # a worktree: the file says where its folder is
        git = git.parent / _read(git).removeprefix("gitdir:").strip()
    common = _read(git / "commondir")
    folders = [git, git / common] if common else [git]
    head = _read(git / "HEAD")
    if _REVISION.fullmatch(head):
        return head
    name = head.removeprefix("ref:").strip()
    for folder in folders:
        revision = _read(folder / name) if name.startswith("refs/") else ""
        if _REVISION.fullmatch(revision):
            return revision
        for line in _read(folder / "packed-refs").splitlines():
            revision, _, packed = line.partition(" ")
            if packed == name and _REVISION.fullmatch(revision):
                return revision
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
