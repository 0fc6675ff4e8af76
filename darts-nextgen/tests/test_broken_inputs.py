"""Broken inputs through the command line: one clear message each, and nothing half-written taken for a result."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from darts_nextgen import read_report
from darts_utils.files import TEMPORARY_PREFIX


def rewrite(path, change=lambda values: values, **profile):
    """Write a raster anew with other values or another profile."""
    with rasterio.open(path) as raster:
        values, old = raster.read(), raster.profile
    values = change(values)
    path.unlink()
    shape = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
    with rasterio.open(path, "w", **{**old, **shape, **profile}) as raster:
        raster.write(values)


def image_of(folder):
    return next(folder.glob("*_SR.tif"))


def mask_of(folder):
    return next(folder.glob("*_udm2.tif"))


def truncate(folder):
    image_of(folder).write_bytes(image_of(folder).read_bytes()[:20_000])


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


BROKEN = {
    "truncated TIFF": (truncate, "SceneError: cannot read '{image}' (", "copy or download it again"),
    "missing udm2": (
        lambda folder: mask_of(folder).unlink(),
        "SceneNotFoundError: '{folder}' must hold the scene's usable data mask (*_udm2.tif or *_udm2_clip.tif)",
        "complete the download",
    ),
    "wrong band count": (
        lambda folder: rewrite(image_of(folder), lambda values: values[:3]),
        "SceneError: '{image}' must have 4 bands, but has 3: it is another product",
        "",
    ),
    "no CRS": (
        lambda folder: rewrite(image_of(folder), crs=None),
        "SceneError: '{image}' must have a CRS, but has none",
        "gdal_edit.py -a_srs",
    ),
    "different grids": (
        lambda folder: rewrite(mask_of(folder), transform=Affine(3, 0, 0, 0, -3, 0)),
        "GridMismatchError: ",
        "must share one grid",
    ),
    "all-nodata scene": (
        lambda folder: rewrite(image_of(folder), np.zeros_like),
        "SceneError: '{image}' must hold data, but every pixel is 0 (nodata)",
        "empty or another product",
    ),
    "empty folder": (empty, "SceneNotFoundError: '{folder}' must be a PlanetScope folder", "but holds nothing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_scene_fails_with_its_file_step_and_cause(name, planet, models, tmp_path, darts):
    spoil, beginning, advice = BROKEN[name]
    folder = shutil.copytree(planet.scene, tmp_path / planet.scene.name)
    image = image_of(folder)
    spoil(folder)
    code, out, err = darts("run", "--scene", folder, "--models", models / "optical.pt", "--out", tmp_path / "out")
    assert code == 1
    assert "0 of 1 scenes mapped" in out
    (row,) = read_report(tmp_path / "out" / "results.parquet").rows
    assert (row.status, row.failed_stage) == ("failed", "load")
    assert row.error.startswith(beginning.format(folder=folder, image=image))
    assert advice in row.error
    assert f"failed: {folder} (load): {row.error}\n" in err
    assert "Traceback" not in err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.parquet", "run.toml", "errors"}
    assert row.traceback == tmp_path / "out" / "errors" / f"{folder.name}.txt"
    assert row.error in row.traceback.read_text()


def assert_refused(done, *parts):
    """Refused at once: exit code 2, one line."""
    code, out, err = done
    assert (code, out) == (2, "")
    assert err.startswith("darts: error: ")
    assert len(err.splitlines()) == 1
    for part in parts:
        assert str(part) in err


def test_an_unreadable_model_is_refused_before_any_work(planet, tmp_path, darts):
    model = tmp_path / "model.pt"
    model.write_bytes(b"no weights at all")
    out = tmp_path / "out"
    assert_refused(darts("run", "--scene", planet.scene, "--models", model, "--out", out), model)
    assert_refused(darts("run", "--scene", planet.scene, "--models", tmp_path / "gone.pt", "--out", out), "gone.pt")
    assert not out.exists()


def test_a_truncated_model_is_refused(planet, models, tmp_path, darts):
    model = tmp_path / "optical.pt"
    model.write_bytes((models / "optical.pt").read_bytes()[:100_000])
    assert_refused(darts("run", "--scene", planet.scene, "--models", model, "--out", tmp_path / "out"), model)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(planet, tmp_path, darts):
    import torch

    model, trace = tmp_path / "model.pt", tmp_path / "the code was run"
    payload = {"config": {"model_framework": "smp"}, "statedict": Malicious(trace)}
    for write in (lambda: torch.save(payload, model), lambda: model.write_bytes(pickle.dumps(payload))):
        write()
        done = darts("run", "--scene", planet.scene, "--models", model, "--out", tmp_path / "out")
        assert_refused(done, model)
        assert not trace.exists()


def test_a_model_that_needs_more_than_the_run_has_is_refused(planet, models, tmp_path, darts):
    options = ["run", "--scene", planet.scene, "--models", models / "full.pt", "--out", tmp_path / "out"]
    missing = ("model 'full' needs", "tc_brightness", "(add --tcvis PATH)", "slope", "(add --dem PATH)")
    assert_refused(darts(*options), *missing)
    assert_refused(darts(*options, "--dem", planet.dem), "(add --tcvis PATH)")
    assert not (tmp_path / "out").exists()


def test_a_model_that_needs_missing_bands_is_refused(planet, models, tmp_path, darts):
    from darts_utils.inference.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

    checkpoint = read_checkpoint(models / "optical.pt")
    config = dict(checkpoint.config)
    config["input_combination"] = [*config["input_combination"][:-1], "swir1"]
    config["normalization"] = {**config["normalization"], "swir1": {"offset": 0.0, "scale": 1.0, "clip": True}}
    write_checkpoint(tmp_path / "swir.pt", Checkpoint(config=config, statedict=checkpoint.statedict))
    done = darts("run", "--scene", planet.scene, "--models", tmp_path / "swir.pt", "--out", tmp_path / "out")
    assert_refused(done, "model 'swir' needs swir1")


def test_a_band_mapping_without_a_band_is_refused(planet, models, tmp_path, darts):
    options = ["run", "--scene", image_of(planet.scene), "--models", models / "optical.pt", "--out", tmp_path / "out"]
    assert_refused(darts(*options, "--bands", "blue=1,green=2,red=3"), "nir")
    assert_refused(darts(*options), "--bands")


def test_elevation_somewhere_else_fails_the_tile(planet, sentinel, models, tmp_path, darts):
    with rasterio.open(planet.dem) as raster:
        transform = raster.transform * Affine.translation(100_000, 0)
    dem = shutil.copy(planet.dem, tmp_path / "dem.tif")
    rewrite(dem, transform=transform)
    code, _, err = darts(
        "run",
        "--scene",
        planet.scene,
        "--models",
        models,
        "--dem",
        dem,
        "--tcvis",
        planet.tcvis,
        "--out",
        tmp_path / "out",
    )
    assert code == 1
    assert "(preprocess): NoOverlapError:" in err
    assert "give one that overlaps" in err


def run_without_override(*arguments):
    """Run the command line without root's right to read and write everywhere."""
    command = [Path(sys.executable).with_name("darts"), *arguments]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read and write everywhere, and setpriv (util-linux) is not installed")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_folder_without_permission_is_refused(planet, models, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    options = ["run", "--scene", planet.scene, "--models", models / "optical.pt"]
    assert_refused(run_without_override(*options, "--out", locked / "out"), locked, "permission denied")
    assert list(locked.iterdir()) == []


def test_what_may_not_be_looked_at_fails_for_itself_or_is_refused(planet, models, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    (tmp_path / "list.txt").write_text(f"locked/x\n{planet.scene}\n")
    options = ["run", "--models", models / "optical.pt", "--out", tmp_path / "out"]
    code, out, err = run_without_override(*options, "--scenes", tmp_path / "list.txt")
    assert code == 1
    assert "1 of 2 scenes mapped" in out
    assert f"failed: {locked / 'x'} (load): " in err
    assert "Traceback" not in err
    for mistake in (
        ["--scene", locked / "x"],
        ["--scene", planet.scene, "--models", locked / "m.pt"],
        ["--scene", planet.scene, "--dem", locked / "d.tif"],
    ):
        assert_refused(run_without_override(*options, *mistake), locked, "there is no")


def test_an_output_that_cannot_be_a_folder_is_refused(planet, models, tmp_path, darts):
    (tmp_path / "file").touch()
    done = darts("run", "--scene", planet.scene, "--models", models / "optical.pt", "--out", tmp_path / "file" / "out")
    assert_refused(done, tmp_path / "file")


LIMITED = """
import resource, sys
from darts_utils.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


def test_a_full_disk_fails_the_tile_and_leaves_no_product(planet, models, tmp_path):
    """No file may grow beyond the limit, as on a disk that is full: the report fits, a GeoPackage does not."""
    command = [sys.executable, "-c", LIMITED, 40_000, "run", "--scene", planet.scene, "--models", models / "optical.pt"]
    done = subprocess.run(
        [str(part) for part in (*command, "--out", tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    (row,) = read_report(tmp_path / "results.parquet").rows
    assert (row.status, row.failed_stage) == ("failed", "export")
    assert "OutputError" in row.error
    assert row.error in done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.startswith(TEMPORARY_PREFIX)]
    assert not list(tmp_path.rglob("*.gpkg"))
    assert not list(tmp_path.rglob(f"{planet.scene.name}.json"))


def test_a_full_disk_before_the_first_tile_is_one_line(planet, models, tmp_path):
    command = [sys.executable, "-c", LIMITED, 10, "run", "--scene", planet.scene, "--models", models / "optical.pt"]
    done = subprocess.run(
        [str(part) for part in (*command, "--out", tmp_path)], capture_output=True, text=True, check=False
    )
    assert_refused((done.returncode, done.stdout, done.stderr), tmp_path / "run.toml")
    assert list(tmp_path.iterdir()) == []
