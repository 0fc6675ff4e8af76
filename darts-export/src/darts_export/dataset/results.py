"""What the manifest of a tile says of the results that a data set is made of, without reading them."""

import hashlib
import json

from darts_export.manifest import Manifest

OBJECTS_FILE, AREA_FILE = "prediction_segments.parquet", "prediction_extent.parquet"
"""The products that a data set is made of."""


def models_of(manifest: Manifest) -> str:
    """Name the models that a tile was made with; ``"unknown"`` where its manifest names none.

    Examples:
        >>> from darts_export.manifest import Origin
        >>> models_of(Manifest("a", Origin(models={"full": "12" * 32}), ()))
        'full@121212121212'
    """
    origin = manifest.origin
    used = [f"{name}@{sha256[:12]}" for name, sha256 in origin.models.items() if name not in origin.left_out]
    return " + ".join(used) or "unknown"


def content_of(manifest: Manifest) -> str | None:
    """Hash of tile, models and tables, by which results are the same; None where a table was not exported."""
    written = {file.name: file.sha256 for file in manifest.files}
    if not {OBJECTS_FILE, AREA_FILE} <= written.keys():
        return None
    content = [manifest.tile_id, models_of(manifest), written[OBJECTS_FILE], written[AREA_FILE]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
