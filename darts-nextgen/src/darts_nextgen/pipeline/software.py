"""Which software a process has: the versions of what decides results, and the code of the darts packages itself."""

import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

from darts_utils.errors import ConfigError

_ROOT = "darts-nextgen"
_OURS = "darts-"
_EXTRAS = ("", "torch", "ray")
"""Extras whose packages every process of a run needs; others may be on some nodes only."""

CODE = "darts code"
"""What the digest of our own code is called among the versions."""

Versions = Mapping[str, str]


@cache
def versions() -> Versions:
    """The versions of this process: Python, what the darts packages require, and a digest of their code.

    The digest tells two commits of one version apart, and a changed file from the one that was installed.
    """
    names = sorted(_required())
    ours = [name for name in names if name.startswith(_OURS)]
    code = code_digest(filter(None, map(_folder, ours)))
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
        CODE: code,
    }


def check_versions(found: Versions, *, expected: Versions, node: str) -> None:
    """Compare the versions of a node with those of this process.

    Raises:
        ConfigError: They differ; names all that do.
    """
    other = [
        f"{name} {found.get(name, 'none')} instead of {value}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if other:
        raise ConfigError(
            f"expected the same versions on every node, but node {node} has {', '.join(other)}: install the same packages, "
            "and start what was running before anew"
        )


def code_digest(folders: Iterable[Path]) -> str:
    """Digest of the Python files of some packages: 12 hexadecimal digits that depend on their names and bytes only.

    Args:
        folders: The folder of each package.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:12]


def _required() -> set[str]:
    """The darts packages, and what they require directly."""
    found, waiting = set(), [_ROOT]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name.startswith(_OURS):
            requirements = map(Requirement, importlib.metadata.requires(name) or ())
            waiting += [each.name for each in requirements if _applies(each)]
    return found


def _applies(requirement: Requirement) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in _EXTRAS)


def _folder(distribution: str) -> Path | None:
    found = importlib.util.find_spec(distribution.replace("-", "_"))
    return None if found is None or found.origin is None else Path(found.origin).parent
