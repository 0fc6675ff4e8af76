"""``darts postprocess`` on tile files."""

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from darts_postprocessing import PostprocessingConfig, postprocess
from darts_postprocessing.checks import parse_thresholds
from darts_postprocessing.cli import postprocess as command
from darts_utils.cli import app
from darts_utils.testing import example_tile
from darts_utils.tile_io import read_tile, write_tile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ["probabilities", "valid_data_mask", "quality_data_mask", "slope", "ndvi", "nir"]
    for seed, name in enumerate(("a", "b")):
        tile = example_tile(names, shape=(30, 40), seed=seed).assign_attrs(tile_id=name)
        write_tile(tile, tmp_path / "in" / f"{name}.nc")
    return tmp_path / "in"


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        app(["postprocess", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_every_option_is_there() -> None:
    options = set(inspect.signature(command).parameters) - {"context", "tiles", "out"}
    assert options == {field.name for field in fields(PostprocessingConfig)}


def test_tiles_become_tiles(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder, "--out", tmp_path / "out") == 0
    assert "postprocess: 2 of 2 done" in capsys.readouterr().out
    for name in ("a", "b"):
        assert read_tile(tmp_path / "out" / f"{name}.nc").identical(postprocess(read_tile(folder / f"{name}.nc")))


def test_options_arrive(folder: Path, tmp_path: Path) -> None:
    given = {
        "threshold": 0.3,
        "high_threshold": 0.7,
        "mask": "none",
        "radius_px": 1,
        "edge_px": 2,
        "min_object_px": 3,
        "edge_objects": "keep",
        "water_max_ndvi": 0.1,
        "water_max_nir": 0.2,
        "min_slope_deg": 1.0,
        "max_slope_deg": 80.0,
        "max_implausible_share": 0.9,
    }
    arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
    arguments += ["--drop-water", "--further-thresholds", "0.4,0.6"]
    assert _run(folder / "a.nc", "--out", tmp_path / "out", *arguments) == 0
    expected = postprocess(
        read_tile(folder / "a.nc"),
        drop_water=True,
        further_thresholds=(0.4, 0.6),
        **given,  # type: ignore[arg-type]
    )
    assert read_tile(tmp_path / "out" / "a.nc").identical(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "50"], "threshold must be a probability between 0 and 1, but got 50.0"),
        (["--further-thresholds", "low"], "further_thresholds must be numbers like 0.3,0.7, but got 'low': use commas"),
        (["--mask", "clouds"], "mask must be one of 'quality', 'valid', 'none', but got 'clouds'"),
    ],
)
def test_wrong_usage(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert _run(folder, "--out", tmp_path / "out", *arguments) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_tile_without_probabilities_does_not_stop_the_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tile(read_tile(folder / "a.nc").drop_vars("probabilities"), folder / "a.nc")
    assert _run(folder, "--out", tmp_path / "out") == 1
    assert "postprocess: 1 of 2 done" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.nc"]


def test_thresholds_of_a_command_line() -> None:
    assert parse_thresholds("0.3, .7,") == (0.3, 0.7)
    with pytest.raises(ValueError, match=r"further_thresholds must be numbers like 0\.3,0\.7, but got '0\.3;0\.7'"):
        parse_thresholds("0.3;0.7")
