"""Small tiles go through a model together, and each fails for itself."""

import logging

import pytest

from darts_utils.commands.groups import run_model
from darts_utils.testing import example_tile
from darts_utils.tile_io import read_tile, write_tile


@pytest.fixture
def folder(tmp_path):
    for name in "abcde":
        write_tile(example_tile(["red"], shape=(4, 5)).assign_attrs(tile_id=name), tmp_path / "in" / f"{name}.nc")
    return tmp_path / "in"


class Verb:
    """Remembers what came together; refuses one tile."""

    def __init__(self, refused=None):
        self.groups = []
        self.refused = refused

    def __call__(self, tiles):
        names = "".join(tile.attrs["tile_id"] for tile in tiles)
        self.groups.append(names)
        if self.refused is not None and self.refused in names:
            raise RuntimeError(f"refused {names}")
        return [tile.assign_attrs(seen="yes") for tile in tiles]


@pytest.mark.parametrize(
    ("group_px", "groups"), [(1, ["a", "b", "c", "d", "e"]), (40, ["ab", "cd", "e"]), (1000, ["abcde"])]
)
def test_tiles_are_gathered_up_to_a_number_of_pixels(folder, tmp_path, group_px, groups):
    verb = Verb()
    assert run_model(verb, [folder], out=tmp_path / "out", title="try", group_px=group_px) == 0
    assert verb.groups == groups
    assert [read_tile(tmp_path / "out" / f"{name}.nc").attrs["seen"] for name in "abcde"] == ["yes"] * 5


def test_a_group_that_fails_is_tried_one_by_one(folder, tmp_path, capsys, caplog):
    verb = Verb(refused="b")
    with caplog.at_level(logging.ERROR, logger="darts"):
        assert run_model(verb, [folder], out=tmp_path / "out", title="try", group_px=60) == 1
    assert verb.groups == ["abc", "a", "b", "c", "de"]
    assert "try: 4 of 5 done" in capsys.readouterr().out
    assert "2/5 b failed: RuntimeError: refused b" in caplog.text
    assert not (tmp_path / "out" / "b.nc").exists()


def test_a_file_that_cannot_be_read_fails_in_its_turn(folder, tmp_path, capsys, caplog):
    (folder / "c.nc").write_bytes(b"half of a tile")
    verb = Verb()
    with caplog.at_level(logging.ERROR, logger="darts"):
        assert run_model(verb, [folder], out=tmp_path / "out", title="try") == 1
    assert verb.groups == ["ab", "de"]
    assert "try: 4 of 5 done" in capsys.readouterr().out
    assert "3/5 c failed: SceneError: cannot read tile" in caplog.text
