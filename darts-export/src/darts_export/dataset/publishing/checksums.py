"""``SHA256SUMS``, as ``sha256sum -c`` reads it."""

import re
from collections.abc import Iterable

from darts_export.dataset.publishing.record import PublishedFile

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>.+)")


def checksums(files: Iterable[PublishedFile]) -> str:
    """One line per file, sorted by name."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda each: each.name))


def parse_checksums(text: str) -> dict[str, str]:
    r"""Read the lines: name → hash.

    Raises:
        ValueError: A line is none of them.

    Examples:
        >>> parse_checksums(f"{'ab' * 32}  README.md\n")["README.md"][:4]
        'abab'
    """
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"expected lines of a hash and a name, but got {line!r}")
        found[match["name"]] = match["sha256"]
    return found
