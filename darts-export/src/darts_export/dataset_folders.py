"""Telling the folder of a data set from that of a tile, with as few looks as is sound."""

import json
from pathlib import Path

from darts_export.manifest import MANIFEST_FILE

DATASET_KIND = "darts-dataset"
"""What the manifest of a data set says it is."""

WORK = ".darts-work"
"""Folder within a data set that is being built: everything that is not complete; it goes when the build is done."""

COLLECTION_FILE = "collection.json"
"""A file that every data set has and no tile."""


def is_dataset(folder: Path) -> bool:
    """Whether a folder is that of a data set, published or being built."""
    if (folder / WORK).is_dir():
        return True
    if not (folder / COLLECTION_FILE).is_file():
        return False  # of most tiles nothing is read
    try:
        content = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == DATASET_KIND
