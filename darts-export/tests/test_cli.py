"""``darts export`` and ``darts export check``."""

from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from darts_export import ExportConfig, export_tile
from darts_export.checking import check_tile_folder
from darts_export.fingerprints import sha256_of
from darts_export.from_files import export_file
from darts_export.manifest import read_manifest
from darts_utils.errors import ConfigError, OutputError
from darts_utils.files import TEMPORARY_PREFIX
from darts_utils.tile_io import write_tile

Darts = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(tile: xr.Dataset, tmp_path: Path) -> Path:
    """A folder of two complete tiles."""
    for name in ("a", "b"):
        export_tile(tile.assign_attrs(tile_id=name), tmp_path / "results", products=["binarized", "ndvi", "stac"])
    return tmp_path / "results"


def test_tile_files_become_folders(tile: xr.Dataset, tmp_path: Path, darts: Darts) -> None:
    file = write_tile(tile, tmp_path / "tiles" / "first.nc")
    (tmp_path / "tiles" / "broken.nc").write_bytes(file.read_bytes()[:3000])
    code, out, err = darts("export", file.parent, "--out", tmp_path / "out")
    assert code == 1
    assert "export: 1 of 2 done" in out
    assert "broken failed" in err
    export_tile(tile, tmp_path / "expected")
    folder = tmp_path / "out" / "example-0"
    for path in (tmp_path / "expected" / "example-0").iterdir():
        if path.name != "manifest.json":
            assert (folder / path.name).read_bytes() == path.read_bytes()
    (looked_at,) = read_manifest(folder).origin.inputs["tile"]
    assert (looked_at.name, looked_at.sha256) == ("first.nc", sha256_of(file))
    code, out, _ = darts("export", file, "--out", tmp_path / "out", "--products", "ndvi, stac")
    assert (code, read_manifest(folder).products) == (0, ("ndvi", "stac"))
    assert read_manifest(folder).origin.config["export"]["compression"] == "ZSTD"
    code, _, err = darts("export", file, "--out", tmp_path / "out", "--compression", "RAR")
    assert code == 2
    assert "RAR" in err
    code, _, _ = darts("export", file, "--out", tmp_path / "lzw", "--compression", "LZW", "--no-styles")
    assert code == 0
    assert read_manifest(tmp_path / "lzw" / "example-0").origin.config["export"]["compression"] == "LZW"
    assert not list((tmp_path / "lzw" / "example-0").glob("*.qml"))
    code, out, _ = darts("export", "check", tmp_path / "out")
    assert code == 1
    assert "example-0: unknown: probabilities.tif is not of this export" in out


def test_what_is_current_is_left_alone(tile: xr.Dataset, tmp_path: Path, darts: Darts) -> None:
    file = write_tile(tile, tmp_path / "first.nc")
    options = ["export", file, "--out", tmp_path / "out", "--products", "binarized,ndvi"]
    raster = tmp_path / "out" / "example-0" / "ndvi.tif"

    def is_written_again(*more: object) -> bool:
        before = raster.stat().st_ino if raster.exists() else 0
        assert darts(*options, *more)[0] == 0
        return raster.stat().st_ino != before

    assert is_written_again()
    assert not is_written_again()
    assert not is_written_again("--products", "ndvi")  # more is there
    assert is_written_again("--force")
    assert is_written_again("--overviews")
    assert is_written_again()
    raster.write_bytes(raster.read_bytes()[:-1])
    assert is_written_again()
    write_tile(tile.assign_attrs(sensor="sentinel2"), file)
    assert is_written_again()
    assert not is_written_again()


def test_two_files_of_one_tile(tile: xr.Dataset, tmp_path: Path, darts: Darts) -> None:
    for name in ("first", "second"):
        write_tile(tile, tmp_path / "tiles" / f"{name}.nc")
    code, out, err = darts("export", tmp_path / "tiles", "--out", tmp_path / "out", "--products", "ndvi")
    assert (code, out) == (1, "export: 1 of 2 done\n")
    assert "second.nc' both hold 'example-0', and the second would overwrite the first" in err
    (looked_at,) = read_manifest(tmp_path / "out" / "example-0").origin.inputs["tile"]
    assert looked_at.name == "first.nc"


def test_options_that_would_have_no_effect_are_refused(tile: xr.Dataset, tmp_path: Path) -> None:
    file = write_tile(tile, tmp_path / "first.nc")
    with pytest.raises(
        ConfigError, match="block_px is not an option of an export, but got 256: expected one of products"
    ):
        export_file(file, tmp_path / "out", options=ExportConfig(block_px=256))
    assert export_file(file, tmp_path / "out", options=ExportConfig(("ndvi",))) == tmp_path / "out" / "example-0"


def test_a_folder_of_another_tile(results: Path, tmp_path: Path, darts: Darts) -> None:
    (results / "a").rename(results / "c")
    code, out, _ = darts("export", "check", results)
    assert (code, out) == (1, "c: another tile: the manifest is that of a\n1 of 2 tiles complete\n")
    (results / "c").rename(tmp_path / "stored")
    (results / "a").symlink_to(tmp_path / "stored")
    for arguments in ([results], [results / "a", results / "b" / ".." / "b"]):
        assert darts("export", "check", *arguments)[:2] == (0, "2 of 2 tiles complete\n")


def test_complete_folders_are_complete(results: Path, darts: Darts) -> None:
    for arguments in ([results], [results, "--fast"], [results / "a", results / "b"], [results, results / "a"]):
        code, out, _ = darts("export", "check", *arguments)
        assert (code, out) == (0, "2 of 2 tiles complete\n")


def test_what_is_wrong_is_named(results: Path, darts: Darts) -> None:
    (results / "a" / "ndvi.tif").unlink()
    (results / "a" / "old.tif").touch()
    (results / "b" / f"{TEMPORARY_PREFIX}0-1-x.tif").touch()
    content = (results / "b" / "binarized.tif").read_bytes()
    (results / "b" / "binarized.tif").write_bytes(bytes(len(content)))
    (results / "c").mkdir()
    (results / f"{TEMPORARY_PREFIX}0-1-results.parquet").touch()
    code, out, _ = darts("export", "check", results)
    assert code == 1
    assert out.splitlines() == [
        "a: missing: ndvi.tif",
        "a: unknown: old.tif is not of this export",
        "b: damaged: binarized.tif has another content than was written",
        f"b: unfinished: {TEMPORARY_PREFIX}0-1-x.tif",
        "c: not finished: there is no manifest.json",
        f"unfinished: {results / TEMPORARY_PREFIX}0-1-results.parquet",
        "0 of 3 tiles complete",
    ]
    _, out, _ = darts("export", "check", "--fast", results / "b")
    assert "damaged" not in out
    (results / "b" / "binarized.tif").write_bytes(content[:-1])
    _, out, _ = darts("export", "check", "--fast", results / "b")
    assert f"b: damaged: binarized.tif has {len(content) - 1} bytes instead of {len(content)}" in out
    (results / "a" / "manifest.json").write_text("{}")
    _, out, _ = darts("export", "check", results / "a")
    assert "a: manifest: expected a manifest at" in out


def test_leftovers_alone_are_wrong(results: Path, darts: Darts) -> None:
    (results / f"{TEMPORARY_PREFIX}0-1-run.toml").touch()
    code, out, _ = darts("export", "check", results)
    assert code == 1
    assert "2 of 2 tiles complete" in out


def test_wrong_usage(tmp_path: Path, darts: Darts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert darts("export", "check", tmp_path / "gone")[0] == 2
    code, _, err = darts("export", "check", tmp_path)
    assert code == 2
    assert "holds neither manifest.json nor folders" in err
    assert darts("export", tmp_path / "gone.nc", "--out", tmp_path)[0] == 2
    assert darts("export", "check")[0] == 2

    def locked(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", locked)
    with pytest.raises(OutputError, match="cannot look into '.*' .*: check path and permissions"):
        check_tile_folder(tmp_path)
