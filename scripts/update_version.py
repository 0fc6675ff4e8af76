"""Set the version of the workspace, of every member, of the pins between members, of the citation and of the changelog.

Usage: ``python scripts/update_version.py v1.2.3``
"""

import argparse
import re
import sys
from pathlib import Path

VERSION = re.compile(r"v?(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?(?:\.dev\d+)?)")


def parse_tag(tag: str) -> str:
    """Turn a release tag into a version.

    Raises:
        ValueError: The tag is no version.
    """
    match = VERSION.fullmatch(tag)
    if match is None:
        raise ValueError(f"expected a tag like v1.2.3, v1.2.3rc1 or v1.2.3.dev4, but got {tag!r}")
    return match.group(1)


def update_version(root: Path, version: str) -> list[Path]:
    """Write `version` wherever it belongs; returns the files that changed."""
    changed = []
    files = ["pyproject.toml", "CITATION.cff", "CHANGELOG.md"]
    for path in [*(root / name for name in files), *sorted(root.glob("darts-*/pyproject.toml"))]:
        before = path.read_text()
        after = re.sub(r'^version = "[^"]*"', f'version = "{version}"', before, count=1, flags=re.MULTILINE)
        after = re.sub(r"^version: .*$", f"version: {version}", after, count=1, flags=re.MULTILINE)
        after = re.sub(r"^## Unreleased$", f"## {version}", after, count=1, flags=re.MULTILINE)
        after = re.sub(r'"(darts-[a-z-]+(?:\[[a-z,]+\])?)==[^"]*"', rf'"\1=={version}"', after)
        if after != before:
            path.write_text(after)
            changed.append(path)
    return changed


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", help="the release's tag, e.g. v1.2.3")
    tag = parser.parse_args().tag
    try:
        version = parse_tag(tag)
    except ValueError as error:
        sys.exit(str(error))
    for path in update_version(Path(__file__).resolve().parents[1], version):
        print(f"{path}: {version}")


if __name__ == "__main__":
    main()
