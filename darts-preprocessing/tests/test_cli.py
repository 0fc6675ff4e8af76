"""``darts preprocess``, as a user calls it."""

import sys

import numpy as np
import pytest

from darts_preprocessing import load_and_preprocess
from darts_utils.cli import main
from darts_utils.synthetic import write_scene
from darts_utils.tile_io import read_tile


@pytest.fixture
def darts(monkeypatch):
    """Calls the command line and returns its exit code."""

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["darts", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code or 0

    return called


def test_scenes_become_tile_files(darts, planet, sentinel, tmp_path, capsys):
    out = tmp_path / "tiles"
    auxiliary = ("--dem", planet.dem, "--tcvis", planet.tcvis, "--tcvis-release", "2020")
    assert darts("preprocess", planet.scene, "--out", out, *auxiliary) == 0
    assert "preprocess: 1 of 1 done" in capsys.readouterr().out
    tile = read_tile(out / f"{planet.scene.name}.nc")
    expected = load_and_preprocess(planet.scene, dem=planet.dem, tcvis=planet.tcvis, tcvis_release="2020")
    assert tile.identical(expected)
    options = ("--features", "ndvi", "--sentinel2-offset-dn", "1000")
    assert darts("preprocess", sentinel.scene, "--out", out, *options) == 0
    (made,) = (read_tile(path) for path in out.glob("*.nc") if path.stem != planet.scene.name)
    assert made.attrs["tile_id"] == sentinel.scene.name
    assert "slope" not in made


def test_patterns_lists_and_files_name_scenes(darts, planet, planet_scene, tmp_path):
    other = planet.scene.with_name("20210821_210019_aaaa")
    write_scene(planet_scene, tmp_path / "more").scene.rename(other)
    image = next(planet.scene.glob("*_SR.tif"))
    (tmp_path / "list.txt").write_text(f"# scenes\n{image}\n\n")
    out = tmp_path / "tiles"
    pattern = planet.scene.parent / "2021*"
    assert (
        darts("preprocess", pattern, tmp_path / "list.txt", "--out", out, "--bands", "blue=1,green=2,red=3,nir=4") == 0
    )
    assert {path.stem for path in out.iterdir()} == {planet.scene.name, other.name, image.stem}
    np.testing.assert_array_equal(read_tile(out / f"{image.stem}.nc").red, read_tile(out / f"{other.name}.nc").red)


def test_a_scene_that_fails_never_stops_the_others(darts, planet, planet_scene, tmp_path, caplog):
    broken = planet.scene.with_name("20210821_210019_0000")
    write_scene(planet_scene, tmp_path / "more").scene.rename(broken)
    image = next(broken.glob("*_SR.tif"))
    image.write_bytes(image.read_bytes()[:500])
    out = tmp_path / "tiles"
    assert darts("preprocess", planet.scene.parent / "2021*", "--out", out) == 1
    assert [path.stem for path in out.iterdir()] == [planet.scene.name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--features", "ndvo"], "unknown feature 'ndvo' in --features: did you mean 'ndvi'?"),
        (["--features", "qqqq"], "unknown feature 'qqqq' in --features: expected ndvi, "),
        (["--features", " ,"], "expected names in --features, but got ' ,': name some, or leave the option out"),
        (["--features", "ndvi,slope"], "slope cannot be made without --dem PATH: add it, or leave them out"),
        (["--features", "tc_wetness"], "tc_wetness cannot be made without --tcvis PATH"),
        (["--dem", "/gone.tif"], "expected rasters at '/gone.tif' (--dem), but there are none"),
        (["--tcvis", "/gone"], "expected rasters at '/gone' (--tcvis), but there are none"),
        (["--bands", "blue=1"], "expected the bands blue, green, red, nir"),
        (["--date", "yesterday"], "yesterday"),
        (["--tpi-outer-radius-m", "-5"], "expected a radius of at least 0 m"),
        (["--tcvis-rule", "newest"], "expected --tcvis-rule past_only or upstream, but got 'newest'"),
        (["--sentinel2-offset-dn", "5"], "expected --sentinel2-offset-dn 0 or 1000, but got 5"),
    ],
)
def test_options_that_make_no_sense_stop_before_the_first_scene(darts, planet, tmp_path, capsys, options, message):
    assert darts("preprocess", planet.scene, "--out", tmp_path / "tiles", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "tiles").exists()


def test_scenes_that_are_none_stop_before_the_first_one(darts, planet, tmp_path, capsys):
    out = ("--out", tmp_path / "tiles")
    assert darts("preprocess", tmp_path / "gone*", *out) == 2
    assert "that match" in capsys.readouterr().err
    image = next(planet.scene.glob("*_SR.tif"))
    assert darts("preprocess", image, *out) == 2
    assert "is a file, whose bands must be named: add --bands" in capsys.readouterr().err
    twin = tmp_path / "twin" / planet.scene.name
    twin.mkdir(parents=True)
    assert darts("preprocess", planet.scene, twin, *out) == 2
    assert "expected a tile id of its own for each scene" in capsys.readouterr().err
    assert darts("preprocess", tmp_path / "gone.txt", *out) == 2
    assert "expected a list of scenes at" in capsys.readouterr().err
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert darts("preprocess", tmp_path / "empty.txt", *out) == 2
    assert "expected one path per line" in capsys.readouterr().err
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    assert darts("preprocess", tmp_path / "bytes.txt", *out) == 2
    assert "but it is no text" in capsys.readouterr().err


def test_tables_and_folders_of_scenes_name_scenes(darts, planet, planet_scene, tmp_path, capsys):
    other = write_scene(planet_scene, tmp_path / "more").scene
    (tmp_path / "list.csv").write_text(f"scene,tile_id\n{planet.scene},first\n{other},\n")
    out = tmp_path / "tiles"
    assert darts("preprocess", tmp_path / "list.csv", "--out", out, "--features", "ndvi") == 0
    assert {path.stem for path in out.iterdir()} == {"first", other.name}
    assert read_tile(out / "first.nc").attrs["tile_id"] == "first"
    (tmp_path / "many").mkdir()
    other.rename(tmp_path / "many" / "a")
    assert darts("preprocess", tmp_path / "many", "--out", out, "--features", "ndvi") == 0
    assert "preprocess: 1 of 1 done" in capsys.readouterr().out
    assert (out / "a.nc").exists()


def test_an_id_in_a_table_never_leaves_the_folder_of_results(darts, planet, tmp_path, capsys):
    (tmp_path / "list.csv").write_text(f"scene,tile_id\n{planet.scene},../up\n")
    assert darts("preprocess", tmp_path / "list.csv", "--out", tmp_path / "tiles") == 2
    assert "the name of a scene must be usable as the name of a folder" in capsys.readouterr().err
