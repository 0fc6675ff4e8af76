"""Options of the command line and of a file become one configuration."""

from pathlib import Path

import pytest

from darts_nextgen.commands.options import config_of
from darts_nextgen.pipeline.tasks import scene_tasks
from darts_utils.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        'scene = ["a"]\nmodels = ["m.pt"]\nout = "results"\ndevice = "cpu"\n[postprocessing]\nthreshold = 0.3\nradius_px = 4\n'
    )
    return path


def test_the_command_line_counts_more_than_the_file(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_of({"threshold": 0.6, "out": Path("other"), "device": None, "scene": [], "models": ()}, file=file)
    assert config.postprocessing.threshold == 0.6
    assert config.postprocessing.radius_px == 4
    assert config.out == tmp_path / "other"
    assert config.device == "cpu"
    assert config.scene == (tmp_path / "a",)


def test_scenes_of_the_command_line_replace_those_of_the_file(file):
    assert config_of({"scene": [Path("/x")]}, file=file).scene == (Path("/x"),)
    both = config_of({"scenes": "/y/*"}, file=file)
    assert (both.scene, both.scenes) == ((), ("/y/*",))
    assert config_of({"scenes": ["/y/*", "/z.txt"]}, file=file).scenes == ("/y/*", "/z.txt")


def test_options_land_in_their_sections(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_of(
        {
            "scene": [Path("a")], "models": [Path("m.pt")], "out": Path("o"), "bands": "blue=1,green=2,red=3,nir=7",
            "weights": "full=2, optical=1", "products": "probabilities, stac", "tpi_outer_radius_m": 30.0, "overlap_px": 8,
            "keep_members": False,
        },
        file=None,
    )  # fmt: skip
    assert config.bands == {"blue": 1, "green": 2, "red": 3, "nir": 7}
    assert config.weights == {"full": 2.0, "optical": 1.0}
    assert config.export.products == ("probabilities", "stac")
    assert config.preprocessing.tpi_outer_radius_m == 30.0
    assert config.inference.overlap_px == 8
    assert config.models == (tmp_path / "m.pt",)


def test_thresholds_are_numbers_between_commas(file):
    assert config_of({"further_thresholds": "0.3, 0.7"}, file=file).postprocessing.further_thresholds == (0.3, 0.7)
    with pytest.raises(ConfigError, match="further_thresholds must be numbers like 0.3,0.7, but got 'high'"):
        config_of({"further_thresholds": "high"}, file=file)


def test_a_section_of_a_file_that_is_no_table_is_refused(file):
    file.write_text(file.read_text().partition("[postprocessing]")[0] + "postprocessing = 3\n")
    with pytest.raises(ConfigError, match="postprocessing must be a table, but got 3"):
        config_of({}, file=file)


def test_weights_of_a_file_can_be_withdrawn(file):
    file.write_text("weights = {full = 2.0}\n" + file.read_text())
    assert config_of({}, file=file).weights == {"full": 2.0}
    assert config_of({"weights": ""}, file=file).weights == {}


def test_a_weight_given_twice_is_refused(file):
    with pytest.raises(ConfigError, match="--weights: expected each name once, but got 'full=1,full=3'"):
        config_of({"weights": "full=1,full=3"}, file=file)


def test_a_pattern_works_in_a_folder_with_brackets(tmp_path, monkeypatch):
    folder = tmp_path / "maps [2021]"
    (folder / "chips" / "a").mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "run.toml").write_text('scenes = "chips/*"\nmodels = "m.pt"\nout = "results"\n')
    for config in (
        config_of({"scenes": "chips/*", "models": "m.pt", "out": "results"}, file=None),
        config_of({}, file=folder / "run.toml"),
    ):
        assert [task.tile_id for task in scene_tasks(config)] == ["a"]
