"""Complete or absent: what a folder holds after exports that end well, and after those that do not."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import xarray as xr

from darts_export import ExportConfig, export_tile, export_tile_batched, missing_products, segments_of
from darts_utils.errors import MissingVariableError, OutputError, TileContractError
from darts_utils.testing import Backend, example_tile
from darts_utils.tile_io import write_tile

EVERYTHING = (*ExportConfig.products, "optical", "dem", "tcvis", "ndvi", "extent")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything(tile: xr.Dataset, tmp_path: Path) -> None:
    before = tile.copy(deep=True)
    written = export_tile(tile, tmp_path / "out", products=EVERYTHING)
    assert tile.identical(before)
    assert set(written) == {*EVERYTHING, "prediction_segments_parquet", "prediction_extent_parquet"}
    assert list(written)[-1] == "stac"
    assert sorted(path.name for path in (tmp_path / "out" / "example-0").iterdir()) == sorted(
        path.name for path in written.values()
    )
    with rasterio.open(written["probabilities"]) as raster:
        np.testing.assert_array_equal(raster.read(1), tile.probabilities_percent.values)
        assert raster.tags()["models"] == "mean of full, optical"
        assert raster.tags()["TIFFTAG_SOFTWARE"] == "darts-export 0.1.0"
        assert raster.tags()["sensor"] == "planetscope"
    with rasterio.open(written["optical"]) as raster:
        np.testing.assert_array_equal(raster.dataset_mask() > 0, tile.valid_data_mask.values)
    assert geopandas.read_parquet(written["prediction_segments_parquet"]).equals(segments_of(tile))
    assert missing_products(tmp_path / "out" / "example-0", EVERYTHING) == ()


def test_config_is_recorded(tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(tile, tmp_path, products=["binarized"], config={"threshold": 0.5, "out": Path("results")})
    with rasterio.open(written["binarized"]) as raster:
        assert json.loads(raster.tags()["config"]) == {"out": "results", "threshold": 0.5}


def test_nothing_found_is_a_result_too(empty_tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(empty_tile, tmp_path, products=EVERYTHING)
    for asset in ("prediction_segments", "prediction_extent"):
        assert len(geopandas.read_file(written[asset])) == 0
        assert len(geopandas.read_parquet(written[f"{asset}_parquet"])) == 0
    assert missing_products(written["stac"].parent, EVERYTHING) == ()


def test_content_depends_on_neither_the_other_products_nor_their_order(tile: xr.Dataset, tmp_path: Path) -> None:
    export_tile(tile, tmp_path / "all", products=EVERYTHING)
    expected = _contents(tmp_path / "all")
    names = ("prediction_segments", "probabilities", "thumbnail", "binarized", "stac")
    for number, order in enumerate(itertools.permutations(names, 3)):
        export_tile(tile, tmp_path / str(number), products=order)
        for name, content in _contents(tmp_path / str(number)).items():
            if not name.endswith(".json"):  # the item lists the files
                assert content == expected[name], (order, name)


def test_exporting_again_gives_the_same_folder(tile: xr.Dataset, tmp_path: Path) -> None:
    export_tile(tile, tmp_path, products=EVERYTHING)
    first = _contents(tmp_path)
    export_tile(tile, tmp_path, products=EVERYTHING)
    assert _contents(tmp_path) == first


def test_exporting_another_result_overwrites_cleanly(tile: xr.Dataset, empty_tile: xr.Dataset, tmp_path: Path) -> None:
    export_tile(tile.copy(deep=True), tmp_path / "both")
    export_tile(empty_tile, tmp_path / "both")
    export_tile(empty_tile, tmp_path / "one")
    assert _contents(tmp_path / "both") == _contents(tmp_path / "one")


def test_an_item_always_speaks_of_one_export(tile: xr.Dataset, tmp_path: Path) -> None:
    item = export_tile(tile, tmp_path, products=["binarized", "stac"])["stac"]
    export_tile(tile, tmp_path, products=["ndvi"])  # nothing that the item lists
    assert missing_products(item.parent, ["binarized", "stac"]) == ()
    assert missing_products(item.parent, ["binarized", "ndvi", "stac"]) == ("ndvi",)  # there, but not of that export
    assert missing_products(item.parent, ["binarized", "ndvi"]) == ()
    export_tile(tile, tmp_path, products=["binarized"])  # replaces a file that the item lists
    assert not item.exists()
    assert missing_products(item.parent, ["binarized", "stac"]) == ("binarized", "stac")


def test_missing_products(tile: xr.Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "example-0"
    assert missing_products(folder) == ExportConfig.products
    written = export_tile(tile, tmp_path)
    assert missing_products(folder) == ()
    written["prediction_segments_parquet"].unlink()
    written["binarized"].write_bytes(b"")
    assert missing_products(folder) == ("binarized", "prediction_segments")
    written["stac"].write_text('{"assets": ')
    assert missing_products(folder) == ExportConfig.products
    written["stac"].write_text("[]")
    assert missing_products(folder) == ExportConfig.products
    export_tile(tile, tmp_path)
    assert missing_products(folder) == ()


def test_members(tile: xr.Dataset, tmp_path: Path) -> None:
    members = tile.assign(
        {f"{name}-full": tile[name] for name in ("probabilities", "probabilities_percent", "binarized_segmentation")}
    )
    names = ["probabilities-full", "binarized-full", "prediction_segments-full", "stac"]
    written = export_tile(members, tmp_path, products=names)
    assert sorted(path.name for path in written.values()) == [
        "binarized-full.tif",
        "example-0.json",
        "prediction_segments-full.gpkg",
        "prediction_segments-full.parquet",
        "probabilities-full.tif",
    ]
    assert len(geopandas.read_file(written["prediction_segments-full"])) == 3


def test_backends(tile: xr.Dataset, backend: Backend, tmp_path: Path) -> None:
    export_tile(tile, tmp_path / "numpy", products=EVERYTHING)
    export_tile(backend.tile(tile), tmp_path / backend.name, products=EVERYTHING)
    assert _contents(tmp_path / backend.name) == _contents(tmp_path / "numpy")


def test_one_row(tile: xr.Dataset, tmp_path: Path) -> None:
    written = export_tile(tile.isel(y=slice(20, 21)), tmp_path, products=EVERYTHING)
    assert len(geopandas.read_file(written["prediction_segments"])) == 1


def test_batched_equals_a_loop_and_checks_first(tile: xr.Dataset, tmp_path: Path) -> None:
    other = tile.isel(x=slice(0, 40)).assign_attrs(tile_id="other")
    together = export_tile_batched([tile, other], tmp_path / "together", products=["binarized", "stac"])
    alone = [export_tile(each, tmp_path / "alone", products=["binarized", "stac"]) for each in (tile, other)]
    assert [list(each) for each in together] == [list(each) for each in alone]
    assert _contents(tmp_path / "together") == _contents(tmp_path / "alone")
    assert export_tile_batched([], tmp_path) == []
    with pytest.raises(
        TileContractError, match="must differ in tile_id, but 'example-0' came 2 times: the second would"
    ):
        export_tile_batched([tile, tile], tmp_path / "twice")
    with pytest.raises(MissingVariableError, match="export product 'binarized' needs 'binarized_segmentation'"):
        export_tile_batched([tile, other[["red"]]], tmp_path / "twice", products=["binarized"])
    assert not (tmp_path / "twice").exists()


def test_refusals_come_before_any_file(tile: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(MissingVariableError, match="export product 'thumbnail' needs 'red'"):
        export_tile(tile.drop_vars("red"), tmp_path)
    with pytest.raises(TileContractError, match="tile_id must be usable as the name of a folder"):
        export_tile(tile.assign_attrs(tile_id="../elsewhere"), tmp_path)
    with pytest.raises(TileContractError, match="must be float32, but got float64"):
        export_tile(tile.assign(probabilities=tile.probabilities.astype("float64")), tmp_path)
    with pytest.raises(
        TypeError, match=r"products must be a collection of names, but got the string 'stac': write \['st"
    ):
        export_tile(tile, tmp_path, products="stac")
    assert list(tmp_path.iterdir()) == []


def _fail_after(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("darts_export.products.write_jpeg", fail)


def test_a_failed_export_is_not_taken_for_done(
    tile: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "example-0"
    export_tile(tile, tmp_path)
    with monkeypatch.context() as patch:
        _fail_after(patch, RuntimeError("a bug"))
        with pytest.raises(RuntimeError, match="a bug"):
            export_tile(tile, tmp_path)
    assert missing_products(folder) == ExportConfig.products
    assert not any(path.name.startswith(".") for path in folder.iterdir())
    assert "thumbnail.jpg" in {path.name for path in folder.iterdir()}  # the former one, whole
    export_tile(tile, tmp_path)
    assert missing_products(folder) == ()


_KILLED = """
import os, signal, sys
import darts_export.products
from darts_export import export_tile
from darts_utils.tile_io import read_tile

def die(picture, path):
    path.write_bytes(b"half a picture")
    os.kill(os.getpid(), signal.SIGKILL)

darts_export.products.write_jpeg = die
export_tile(read_tile(sys.argv[1]), sys.argv[2])
"""


def test_after_a_kill_the_folder_is_not_done_and_can_be_mended(tile: xr.Dataset, tmp_path: Path) -> None:
    out_dir, folder = tmp_path / "killed", tmp_path / "killed" / "example-0"
    stored = write_tile(tile, tmp_path / "tile.nc")
    answer = subprocess.run([sys.executable, "-c", _KILLED, stored, out_dir], check=False)
    assert answer.returncode == -signal.SIGKILL
    assert any(path.name.startswith(".darts-incomplete-") for path in folder.iterdir())
    assert not (folder / "thumbnail.jpg").exists()
    assert missing_products(folder) == ExportConfig.products
    export_tile(tile, out_dir)
    export_tile(tile, tmp_path / "undisturbed")
    assert _contents(out_dir) == _contents(tmp_path / "undisturbed")


_LIMITED = """
import resource, sys
from darts_export import export_tile
from darts_utils.errors import OutputError
from darts_utils.tile_io import read_tile

tile = read_tile(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    export_tile(tile, sys.argv[2])
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("limit", "file", "there"),
    [
        (10, "probabilities.tif", set()),
        (20_000, "prediction_segments.gpkg", {"probabilities.tif", "binarized.tif"}),
    ],
)
def test_files_that_cannot_be_finished(
    tile: xr.Dataset, tmp_path: Path, limit: int, file: str, there: set[str]
) -> None:
    stored = write_tile(tile, tmp_path / "tile.nc")
    answer = subprocess.run(
        [sys.executable, "-c", _LIMITED, stored, tmp_path / "out", str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"cannot write '{tmp_path}/out/example-0/{file}'" in answer.stdout
    assert {path.name for path in (tmp_path / "out" / "example-0").iterdir()} == there
    assert missing_products(tmp_path / "out" / "example-0") == ExportConfig.products


def _mount(folder: Path, options: str) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("this machine does not allow mounting")


def test_disk_full_and_read_only(tile: xr.Dataset, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    _mount(disk, "size=64k")
    try:
        with pytest.raises(
            OutputError, match=r"cannot write '.*\.gpkg': the disk is full: free some space or choose an"
        ):
            export_tile(tile, disk)
        assert {path.name for path in disk.rglob("*")} == {"example-0", "probabilities.tif", "binarized.tif"}
        assert missing_products(disk / "example-0") == ExportConfig.products
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(
            OutputError, match=r"cannot replace '.*example-0\.json' \(.*Read-only.*: choose another folder"
        ):
            export_tile(tile, disk)
        with pytest.raises(OutputError, match=r"cannot write .* the file system is read-only: choose another folder"):
            export_tile(tile.assign_attrs(tile_id="new"), disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_names_that_are_taken(tile: xr.Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match=r"cannot (write|replace) '.*/file/example-0/.*folder"):
        export_tile(tile, tmp_path / "file")
    (tmp_path / "example-0" / "binarized.tif").mkdir(parents=True)
    with pytest.raises(
        OutputError, match=r"cannot write '.*binarized\.tif': a folder has this name: choose another path"
    ):
        export_tile(tile, tmp_path)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_tile_straight_from_the_test_kit(tmp_path: Path) -> None:
    """Random masks: hundreds of tiny objects, most at the edge."""
    tile = example_tile(
        ["red", "green", "blue", "probabilities", "probabilities_percent", "binarized_segmentation", "extent"]
    )
    assert missing_products(export_tile(tile, tmp_path)["stac"].parent) == ()
