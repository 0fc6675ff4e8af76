"""Options of ``darts dataset build``, from its file and on the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.published import read_published
from darts_export.dataset.publishing.settings import read_settings
from darts_utils.errors import ConfigError

Darts = Callable[..., tuple[int, str, str]]


def test_options_from_a_file(archive: Path, tmp_path: Path, darts: Darts) -> None:
    file = tmp_path / "dataset.toml"
    (tmp_path / "own.txt").write_text("Be kind.")
    file.write_text(
        'cell_m = 500\nmin_overlap = 0.5\n[publication]\ntitle = "Mine"\nlicence = "LicenseRef-own"\nlicence_file = "own.txt"\n'
        'keywords = ["ice"]\n[[publication.authors]]\nname = "An Institute"\n'
    )
    options, publication = read_settings(file)
    assert (options, publication.title, publication.keywords) == ({"cell_m": 500, "min_overlap": 0.5}, "Mine", ("ice",))
    code, _, err = darts(
        "dataset", "build", archive / "a-2019", "--out", tmp_path / "out", "--config", file, "--cell-m", 200
    )
    assert code == 0
    assert "warning" not in err
    assert (tmp_path / "out" / "LICENSE").read_text() == "Be kind."
    assert len(read_published(tmp_path / "out", "coverage", crs="EPSG:3413")) > 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell = 1", "dataset.toml.: unknown key 'cell' in the configuration: did you mean 'cell_m'"),
        ("[publication]\nlicense = 'MIT'", "unknown key 'license' in .publication.: did you mean 'licence'"),
        (
            "[[publication.authors]]\nsurname = 'x'",
            "unknown key 'surname' in .publication.authors.0..: did you mean 'name'",
        ),
        ("cell_m = 'wide'", "cell_m must be a number, but got 'wide'"),
        ("workers = 1.5", "workers must be a whole number, but got 1.5"),
        ("footprint = true", "footprint must be one of 'median', 'union', but got true"),
        ("publication = 1", "publication must be a table, but got 1"),
        ("[publication", "expected a configuration in TOML at"),
    ],
)
def test_settings_that_make_no_sense(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_settings(tmp_path / "dataset.toml")


def test_every_option_of_the_configuration_is_one_of_the_command(darts: Darts) -> None:
    text = darts("dataset", "build", "--help")[1]
    for name in vars(DatasetConfig()):
        assert f"--{name.replace('_', '-')}" in text


def test_a_file_need_not_make_sense_without_the_command(tmp_path: Path) -> None:
    file = tmp_path / "dataset.toml"
    file.write_text("edge_tolerance_m = 60\n")
    with pytest.raises(ConfigError, match="expected reach_m to be a finite number of at least edge_tolerance_m"):
        read_settings(file)
    options, _ = read_settings(file, instead={"reach_m": 100.0, "edge_tolerance_m": 80.0})
    assert options == {"edge_tolerance_m": 80.0, "reach_m": 100.0}
