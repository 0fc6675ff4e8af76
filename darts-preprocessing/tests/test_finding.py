"""What paths, patterns, folders and lists name; `darts run` and `darts preprocess` both ask here."""

import sys

import pytest

from darts_preprocessing.loading.finding import listed_scenes, named_scenes
from darts_utils.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "image_SR.tif").touch()
    (tmp_path / "chip.tif").touch()
    (tmp_path / "notes.md").touch()
    return tmp_path


def found(folder, entry):
    return [(path.name, name) for path, name in listed_scenes(str(folder / entry), out=folder / "out")]


def test_each_kind_of_entry(folder):
    assert found(folder, "*") == [("a", None), ("b", None), ("chip.tif", None)]
    assert found(folder, "a") == [("a", None)]
    assert found(folder, "chip.tif") == [("chip.tif", None)]
    (folder / "list.txt").write_text("# mine\nb\n\ngone\n")
    assert found(folder, "list.txt") == [("b", None), ("gone", None)]
    (folder / "list.csv").write_text("scene,tile_id\na,first\nb,\n")
    assert found(folder, "list.csv") == [("a", "first"), ("b", None)]
    (folder / "many [1]").mkdir()
    (folder / "b").rename(folder / "many [1]" / "b")
    assert found(folder, "many [1]") == [("b", None)]


def test_a_scene_that_is_named_may_lie_in_the_folder_of_the_results(folder):
    (folder / "out" / "scene").mkdir()
    (folder / "out" / "scene" / "image_SR.tif").touch()
    assert found(folder, "out/scene") == [("scene", None)]
    with pytest.raises(ConfigError, match="that match '.*', but there are none"):
        found(folder, "out/*")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "out",
            "expected a scene at '.*/out', but that is the folder of the results: leave it out, or quote the pattern",
        ),
        (
            "notes.md",
            r"expected a scene \(folders, .*\) at '.*/notes.md', but that is another file: leave it out, or quote",
        ),
    ],
)
def test_what_is_named_and_is_no_scene_is_refused(folder, entry, message):
    with pytest.raises(ConfigError, match=message):
        found(folder, entry)


def test_a_parquet_list_needs_pyarrow(folder, monkeypatch):
    (folder / "list.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        ConfigError,
        match=r"expected pyarrow for the list of scenes '.*list.parquet', but it is not installed: install "
        r"darts-preprocessing\[parquet\], or write the list as .csv",
    ):
        found(folder, "list.parquet")


def test_a_scene_that_is_named_twice_keeps_its_first_name(folder):
    scenes = [(folder / "a", "first"), (folder / "b" / ".." / "a", "second"), (folder / "b", None)]
    assert named_scenes(scenes) == {"first": folder / "a", "b": folder / "b"}


def test_two_scenes_of_one_name_are_refused(folder):
    with pytest.raises(
        ConfigError, match=r"expected a tile id of its own .* are both 'a', and the second would overwrite"
    ):
        named_scenes([(folder / "a", None), (folder / "b", "a")])
