"""Complete or absent: what `missing_products` says of a folder."""

import itertools
import json
import os
import re
from pathlib import Path
from urllib.request import url2pathname

import pytest
import xarray as xr

from darts_export import ExportConfig, export_tile, missing_products
from darts_utils.errors import OutputError

DEFAULT = ExportConfig.products


def test_a_folder_is_of_one_export(tile: xr.Dataset, tmp_path: Path) -> None:
    item = export_tile(tile, tmp_path, products=["binarized", "stac"])["stac"]
    assert missing_products(item.parent, ["binarized", "stac"]) == ()
    export_tile(tile, tmp_path, products=["ndvi"])  # nothing that the item lists, and yet another export
    assert not item.exists()
    assert missing_products(item.parent, ["binarized", "stac"]) == ("binarized", "stac")
    export_tile(tile, tmp_path, products=["binarized", "stac"])
    assert missing_products(item.parent, ["binarized"]) == ()
    assert missing_products(item.parent, ["stac", "ndvi", "binarized"]) == ("ndvi", "binarized", "stac")
    (item.parent / "ndvi.tif").unlink()  # of another export
    assert missing_products(item.parent, ["binarized", "stac"]) == ()
    item.unlink()
    assert missing_products(item.parent, ["binarized"]) == ("binarized",)
    assert missing_products(item.parent, []) == ()


def test_missing_products(tile: xr.Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "example-0"
    assert missing_products(folder) == DEFAULT
    written = export_tile(tile, tmp_path)
    assert missing_products(folder) == ()
    written["binarized"].write_bytes(b"")
    assert missing_products(folder) == DEFAULT
    assert missing_products(folder, ["probabilities", "stac"]) == ("probabilities", "stac")
    export_tile(tile, tmp_path)
    manifest = folder / "manifest.json"
    whole = manifest.read_text()
    for damage in (
        whole[:-40],
        "[]",
        "7",
        whole.replace("probabilities.tif", "probabilitiez.tif"),
        "{}",
        "\0",
        "\udcff",
    ):
        manifest.write_text(damage, errors="surrogateescape")
        assert missing_products(folder) == DEFAULT
    export_tile(tile, tmp_path)
    assert missing_products(folder) == ()
    assert manifest.read_text() == whole


_WANTED = (
    ("binarized", "stac"),
    ("binarized", "ndvi", "stac"),
    ("probabilities", "ndvi", "stac"),
    ("stac",),
    ("ndvi",),
    ("ndvi", "binarized"),
)


@pytest.mark.parametrize(("former", "wanted"), [*itertools.product([None, *_WANTED], _WANTED)])
@pytest.mark.parametrize("lost", [None, "binarized.tif", "example-0.json"])
def test_writing_what_is_missing_leaves_nothing_missing(
    tile: xr.Dataset, tmp_path: Path, former: tuple[str, ...] | None, wanted: tuple[str, ...], lost: str | None
) -> None:
    folder = tmp_path / "example-0"
    if former is not None:
        export_tile(tile, tmp_path, products=former)
    if lost is not None:
        (folder / lost).unlink(missing_ok=True)
    missing = missing_products(folder, wanted)
    assert missing in {(), wanted}
    export_tile(tile, tmp_path, products=missing)
    assert missing_products(folder, wanted) == ()
    export_tile(tile, tmp_path, products=missing_products(folder, wanted))  # nothing: it does not even touch the item
    assert missing_products(folder, wanted) == ()


def test_from_within_the_folder(tile: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = export_tile(tile, tmp_path, products=["binarized", "stac"])["stac"].parent
    (folder / "inner").mkdir()
    for place, path in ((folder, "."), (folder, ""), (folder / "inner", ".."), (tmp_path, "example-0/"), ("/", folder)):
        monkeypatch.chdir(place)
        assert missing_products(path, ["binarized", "stac"]) == (), (place, path)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "example-0").symlink_to(folder)
    assert missing_products(tmp_path / "link" / "example-0", ["binarized", "stac"]) == ()


def test_an_item_that_is_a_folder(tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(tile, tmp_path, products=["binarized", "stac"])
    written["stac"].unlink()
    written["stac"].mkdir()
    assert missing_products(written["stac"].parent, ["binarized", "stac"]) == ("binarized", "stac")
    with pytest.raises(OutputError, match=r"cannot replace '.*example-0\.json' .*: choose another folder"):
        export_tile(tile, tmp_path, products=["binarized", "stac"])


def test_a_manifest_that_may_not_be_read(tile: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = export_tile(tile, tmp_path, products=["binarized", "stac"])["stac"]
    monkeypatch.setattr(Path, "read_text", _refuse)  # permissions do not stop root
    assert missing_products(item.parent, ["binarized", "stac"]) == ("binarized", "stac")
    assert export_tile(tile, tmp_path, products=["binarized", "stac"])["stac"] == item
    monkeypatch.undo()
    assert missing_products(item.parent, ["binarized", "stac"]) == ()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", _refuse)
        assert missing_products(item.parent, ["binarized", "stac"]) == ("binarized", "stac")


def _refuse(path: Path, *_: object, **__: object) -> str:
    raise PermissionError(13, os.strerror(13), str(path))


@pytest.mark.parametrize("model", ["a#b", "a?b", "a%20b", "a b", "ü", "100%", "a:b", "{tile_id}", "a_parquet"])
def test_names_of_models_that_links_must_encode(tile: xr.Dataset, tmp_path: Path, model: str) -> None:
    members = tile.assign(
        {f"{name}-{model}": tile[name] for name in ("probabilities", "probabilities_percent", "binarized_segmentation")}
    )
    products = [f"probabilities-{model}", f"prediction_segments-{model}", "stac"]
    written = export_tile(members, tmp_path, products=products)
    assert sorted(path.name for path in written["stac"].parent.iterdir()) == [
        "example-0.json",
        "manifest.json",
        f"prediction_segments-{model}.gpkg",
        f"prediction_segments-{model}.parquet",
        f"prediction_segments-{model}.qml",
        f"probabilities-{model}.qml",
        f"probabilities-{model}.tif",
    ]
    item = json.loads(written["stac"].read_text())
    for key, asset in item["assets"].items():
        assert re.fullmatch(r"\./([\w.~-]|%[0-9A-F]{2})+", asset["href"], re.ASCII)  # RFC 3986
        assert url2pathname(asset["href"]) == f"./{written[key].name}"
    assert missing_products(written["stac"].parent, products) == ()
    written[f"probabilities-{model}"].unlink()
    assert missing_products(written["stac"].parent, products) == tuple(products)
