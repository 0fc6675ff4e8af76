"""What a folder holds after exports that do not end well."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from darts_export import ExportConfig, export_tile, export_tile_batched, missing_products
from darts_utils.errors import OutputError
from darts_utils.files import TEMPORARY_PREFIX, atomic_path
from darts_utils.tile_io import write_tile


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FILES = (
    "probabilities.tif",
    "probabilities.qml",
    "binarized.tif",
    "binarized.qml",
    "prediction_segments.gpkg",
    "prediction_segments.parquet",
    "prediction_segments.qml",
    "prediction_extent.gpkg",
    "prediction_extent.parquet",
    "prediction_extent.qml",
    "thumbnail.jpg",
    "example-0.json",
)
"""What an export with the defaults writes, in order."""


def _fail_at(monkeypatch: pytest.MonkeyPatch, file: str, moment: str) -> None:
    @contextmanager
    def failing(path: Path) -> Iterator[Path]:
        if path.name == file and moment == "before":
            raise KeyboardInterrupt
        with atomic_path(path) as temporary:
            yield temporary
            if path.name == file and moment == "written":
                raise KeyboardInterrupt
        if path.name == file and moment == "in place":
            raise KeyboardInterrupt

    monkeypatch.setattr("darts_export.exporting.atomic_path", failing)


@pytest.fixture(scope="module")
def former(example: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export of `tile`."""
    folder = tmp_path_factory.mktemp("former")
    export_tile(example, folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(empty_example: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an export of `empty_tile` writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    export_tile(empty_example, folder)
    return _contents(folder)


@pytest.mark.parametrize("moment", ["before", "written", "in place"])
@pytest.mark.parametrize("file", FILES)
def test_a_failure_at_any_moment(
    former: Path,
    undisturbed: dict[str, bytes],
    empty_tile: xr.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    moment: str,
) -> None:
    """Over the files of a former export: no manifest, nothing unfinished, and the next export completes."""
    folder = tmp_path / "out" / "example-0"
    shutil.copytree(former, tmp_path / "out")
    with monkeypatch.context() as patch:
        _fail_at(patch, file, moment)
        with pytest.raises(KeyboardInterrupt):
            export_tile(empty_tile, tmp_path / "out")
    has_item = (file, moment) == (FILES[-1], "in place")
    assert {path.name for path in folder.iterdir()} == {*FILES} - (set() if has_item else {"example-0.json"})
    assert missing_products(folder) == ExportConfig.products
    export_tile(empty_tile, tmp_path / "out")
    assert missing_products(folder) == ()
    assert _contents(tmp_path / "out") == undisturbed


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
    assert any(path.name.startswith(TEMPORARY_PREFIX) for path in folder.iterdir())
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
        (20_000, "prediction_segments.gpkg", set(FILES[:4])),
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
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # one file after the other
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


def test_disk_full_and_read_only(tile: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one file after the other
    disk = tmp_path / "disk"
    _mount(disk, "size=64k")
    try:
        with pytest.raises(
            OutputError, match=r"cannot write '.*\.gpkg': the disk is full: free some space or choose an"
        ):
            export_tile(tile, disk)
        assert {path.name for path in disk.rglob("*")} == {"example-0", *FILES[:4]}
        assert missing_products(disk / "example-0") == ExportConfig.products
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(
            OutputError, match=r"cannot (replace|write) '.*example-0/.*(Read-only|read-only).*: choose another folder"
        ):
            export_tile(tile, disk)
        with pytest.raises(
            OutputError, match=r"cannot write into .* the file system is read-only: choose another folder"
        ):
            export_tile(tile.assign_attrs(tile_id="new"), disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_names_that_are_taken(tile: xr.Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match=r"cannot write into '.*/file/example-0': .*folder"):
        export_tile(tile, tmp_path / "file")
    (tmp_path / "example-0" / "binarized.tif").mkdir(parents=True)
    with pytest.raises(
        OutputError, match=r"cannot write '.*binarized\.tif': a folder has this name: choose another path"
    ):
        export_tile(tile, tmp_path)
    assert (tmp_path / "file").read_text() == "not a folder"


_WORKING = """
import pathlib, sys, time
import darts_export.products
from darts_export import export_tile
from darts_utils.tile_io import read_tile

def wait(picture, path):
    path.write_bytes(b"half a picture")
    print("working", flush=True)
    sys.stdin.readline()

darts_export.products.write_jpeg = wait
export_tile(read_tile(sys.argv[1]), sys.argv[2], products=["thumbnail"])
"""


def test_a_tile_has_one_writer(tile: xr.Dataset, tmp_path: Path) -> None:
    stored = write_tile(tile, tmp_path / "tile.nc")
    with subprocess.Popen(
        [sys.executable, "-c", _WORKING, stored, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "working\n"
        with pytest.raises(OutputError, match="expected to be the only writer of '.*example-0', but another process"):
            export_tile(tile, tmp_path, products=["ndvi"])
        assert any(path.name.startswith(TEMPORARY_PREFIX) for path in (tmp_path / "example-0").iterdir())
        other.communicate("\n")
        assert other.returncode == 0
    assert {path.name for path in (tmp_path / "example-0").iterdir()} == {"thumbnail.jpg", "manifest.json"}


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone", "/data/in.tif"), PermissionError(13, "no", "/data/in")])
def test_an_input_that_cannot_be_read_is_no_output_error(tile: xr.Dataset, tmp_path: Path, error: OSError) -> None:
    export_tile(tile, tmp_path, products=["binarized", "ndvi", "stac"])
    before = _contents(tmp_path)
    lazy = tile.assign(ndvi=tile.ndvi.copy(data=_unreadable(tile.ndvi, error)))
    with pytest.raises(type(error)) as caught:
        export_tile(lazy, tmp_path, products=["binarized", "ndvi", "stac"])
    assert not isinstance(caught.value, OutputError)
    assert _contents(tmp_path) == before
    export_tile(lazy, tmp_path, products=["binarized"])  # what is not written is not read
    ok = tile.assign_attrs(tile_id="ok")
    with pytest.raises(type(error)):
        export_tile_batched([ok, lazy], tmp_path, products=["ndvi", "stac"])
    assert missing_products(tmp_path / "ok", ["ndvi", "stac"]) == ()


def _unreadable(like: xr.DataArray, error: OSError) -> Any:
    dask = pytest.importorskip("dask.array")

    def read(_: np.ndarray) -> np.ndarray:
        raise error

    return dask.zeros(like.shape, dtype=like.dtype).map_blocks(read, dtype=like.dtype)
