"""Step commands over tile files, and commands of several words."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from darts_utils.cli import app
from darts_utils.commands.steps import run_each, run_verb, tile_files
from darts_utils.errors import ConfigError, DartsWarning
from darts_utils.plugins import summary_of
from darts_utils.testing import example_tile
from darts_utils.tile_io import read_tile, write_tile

DARTS = Path(sys.executable).with_name("darts")


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        write_tile(example_tile(["red"], shape=(4, 5)).assign_attrs(tile_id=name), tmp_path / "in" / f"{name}.nc")
    return tmp_path / "in"


def brighter(tile):
    return tile.assign(red=tile["red"].copy(data=tile["red"].data + np.uint16(1)))


def test_files_and_folders_are_found_once_and_in_order(folder):
    files = [folder / name for name in ("a.nc", "b.nc", "c.nc")]
    assert tile_files([folder]) == files
    assert tile_files([files[2], folder]) == [files[2], files[0], files[1]]


def test_what_is_no_tile_file_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "gone.nc"):
        with pytest.raises(ConfigError, match=r"expected a tile file, or a folder of \*.nc files"):
            tile_files([path])
    write_tile(example_tile(["red"]), tmp_path / "other" / "a.nc")
    with pytest.raises(ConfigError, match=r"of different names, but got 'a.nc' twice"):
        tile_files([folder, tmp_path / "other"])


def test_a_verb_over_tile_files(folder, tmp_path, capsys):
    assert run_verb(brighter, [folder], out=tmp_path / "out", title="brighten") == 0
    assert capsys.readouterr().out == "brighten: 3 of 3 done\n"
    for name in ("a", "b", "c"):
        expected = brighter(read_tile(folder / f"{name}.nc"))
        assert read_tile(tmp_path / "out" / f"{name}.nc").identical(expected)


def test_a_broken_tile_does_not_stop_the_others(folder, tmp_path, capsys, caplog):
    (folder / "b.nc").write_bytes(b"half of a tile")
    with caplog.at_level(logging.INFO, logger="darts"):
        assert run_verb(brighter, [folder], out=tmp_path / "out", title="brighten") == 1
    assert capsys.readouterr().out == "brighten: 2 of 3 done\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nc", "c.nc"]
    assert "2/3 b failed: SceneError: cannot read tile" in caplog.text


def test_warnings_become_log_lines(caplog, tmp_path):
    import warnings

    def work(item):
        warnings.warn(f"look at {item}", DartsWarning, stacklevel=1)
        return tmp_path / item

    with caplog.at_level(logging.WARNING, logger="darts"):
        assert run_each(["x"], work, name=str, title="look") == 0
    assert "look at x" in caplog.text


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Packages that announce commands with a common first word, whose import would be noticed."""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[darts.cli]\nsnow = snowpack.cli:snow\nsnow melt = snowpack.cli:melt\nice melt = snowpack.cli:melt\n"
        "hail = snowpack.gone:hail\n"
    )
    package = tmp_path / "snowpack"
    package.mkdir()
    (package / "__init__.py").write_text("print('imported')\n")
    (package / "cli.py").write_text(
        'import typer\n\ndef snow(where: str = "here") -> None:\n    """Let it snow."""\n    typer.echo(f"snow {where}")\n\n'
        'def melt(days: int) -> None:\n    """Melt it."""\n    typer.echo(f"melt {days}")\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def darts(*arguments):
    return subprocess.run([str(DARTS), *arguments], capture_output=True, text=True, check=False)


def test_help_reads_the_summaries_without_importing(commands):
    done = darts("--help")
    assert done.returncode == 0
    assert "imported" not in done.stdout
    for line in ("snow  .*Let it snow.", "snow melt  .*Melt it.", r"hail  .*\(cannot be read: snowpack.gone:hail\)"):
        assert any(re.search(line, each) for each in done.stdout.splitlines()), line


def test_the_longest_name_wins(commands):
    assert darts("snow").stdout == "imported\nsnow here\n"
    assert darts("snow", "--where", "melt").stdout == "imported\nsnow melt\n"
    assert darts("snow", "melt", "3").stdout == "imported\nmelt 3\n"
    assert darts("ice", "melt", "4").stdout == "imported\nmelt 4\n"


def test_an_unfinished_name_lists_the_commands(commands):
    done = darts("ice", "break")
    assert done.returncode == 2
    assert done.stderr == "darts: error: expected one of the commands ice melt, but got 'ice break'\n"
    done = darts("ice", "--help")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Commands:")
    assert "ice melt  Melt it." in done.stdout
    assert "imported" not in done.stdout


def test_a_summary_is_that_of_the_docstring():
    from importlib.metadata import EntryPoint

    assert (
        summary_of(EntryPoint("x", "darts_utils.faults:describe_error", "darts.cli"))
        == "Say in one line what went wrong."
    )
    assert summary_of(EntryPoint("x", "json:dumps", "darts.cli")).startswith("Serialize")
    for broken in ("gone_package.cli:run", "darts_utils.gone:run", "darts_utils.faults:gone"):
        assert summary_of(EntryPoint("x", broken, "darts.cli")) == f"(cannot be read: {broken})"


def test_the_program_is_the_one_that_is_installed():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="darts")
    assert script.value == "darts_utils.cli:main"
    assert app.info.cls.__name__ == "CommandGroup"
