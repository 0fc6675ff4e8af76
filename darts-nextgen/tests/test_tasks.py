"""Which scenes a run maps."""

from pathlib import Path

import pytest

from darts_nextgen import RunConfig
from darts_nextgen.pipeline.tasks import scene_tasks
from darts_utils.errors import ConfigError
from darts_utils.files import TEMPORARY_PREFIX


def tasks_of(**options):
    return scene_tasks(RunConfig(models=(Path("m.pt"),), out=Path("out"), **options))


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "chip.one.tif").touch()
    (tmp_path / f"{TEMPORARY_PREFIX}0123-d").mkdir()
    return tmp_path


def test_scenes_one_by_one_keep_their_order(folder):
    tasks = tasks_of(scene=(folder / "b", folder / "a"))
    assert [(task.path, task.tile_id) for task in tasks] == [(folder / "b", "b"), (folder / "a", "a")]


def test_a_file_is_named_without_its_suffix(folder):
    (task,) = tasks_of(scene=(folder / "chip.one.tif",))
    assert task.tile_id == "chip.one"


def test_a_pattern_is_sorted_and_leaves_unfinished_folders_out(folder):
    assert [task.tile_id for task in tasks_of(scenes=str(folder / "*"))] == ["a", "b", "c", "chip.one"]


def test_a_scene_that_is_named_twice_is_one_task(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [task.tile_id for task in tasks_of(scene=(Path("b"),), scenes=str(folder / "[ab]"))] == ["b", "a"]


def test_a_list_holds_a_path_per_line(folder):
    (folder / "list.txt").write_text(f"# my scenes\n\n  a  \n{folder / 'b'}\ngone\n")
    tasks = tasks_of(scenes=str(folder / "list.txt"))
    assert [task.path for task in tasks] == [folder / "a", folder / "b", folder / "gone"]


def test_mistakes_are_refused(folder):
    with pytest.raises(ConfigError, match="expected a scene at '.*/gone', but there is nothing: check the path"):
        tasks_of(scene=(folder / "gone",))
    with pytest.raises(ConfigError, match=r"expected scenes that match '.*/x\*', but there are none"):
        tasks_of(scenes=str(folder / "x*"))
    with pytest.raises(
        ConfigError, match="expected a list of scenes at '.*gone.txt', but it cannot be read: No such file"
    ):
        tasks_of(scenes=str(folder / "gone.txt"))
    (folder / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="but it is no text"):
        tasks_of(scenes=str(folder / "bytes.txt"))
    (folder / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="but it names no scene"):
        tasks_of(scenes=str(folder / "empty.txt"))


def test_two_scenes_of_one_name_are_refused(folder):
    (folder / "a" / "b").mkdir()
    with pytest.raises(ConfigError, match="expected a tile id of its own.*'.*/b' and '.*/a/b' are both 'b'"):
        tasks_of(scene=(folder / "b", folder / "a" / "b"))
