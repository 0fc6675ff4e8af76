"""Which scenes a run maps."""

import io
import os
import threading
from pathlib import Path

import pandas as pd
import pytest

from darts_nextgen import RunConfig
from darts_nextgen.pipeline.streams import streamed_scenes
from darts_nextgen.pipeline.tasks import scene_tasks, streamed_tasks
from darts_preprocessing.loading.finding import listed_scenes
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


def test_what_is_no_scene_is_left_out_of_a_pattern(folder):
    (folder / "notes.md").touch()
    (folder / "results" / "a").mkdir(parents=True)
    config = RunConfig(models="m.pt", out=folder / "results", scenes=str(folder / "**"))
    assert {task.tile_id for task in scene_tasks(config)} == {folder.name, "a", "b", "c", "chip.one"}


def test_several_patterns_and_lists_add_up(folder):
    (folder / "list.txt").write_text("\ufeffc\n")
    tasks = tasks_of(scenes=(str(folder / "b*"), str(folder / "a"), str(folder / "list.txt")))
    assert [task.tile_id for task in tasks] == ["b", "a", "c"]


def test_a_path_with_dots_has_the_name_of_what_it_leads_to(folder, monkeypatch):
    monkeypatch.chdir(folder / "a")
    assert [task.tile_id for task in tasks_of(scene=(Path(".."), Path()))] == [folder.name, "a"]


def test_a_link_keeps_its_name(folder):
    (folder / "link").symlink_to(folder / "a")
    assert [task.tile_id for task in tasks_of(scene=folder / "link")] == ["link"]


def test_a_name_too_long_is_nothing(folder):
    with pytest.raises(ConfigError, match="there is nothing that can be read"):
        tasks_of(scene=folder / ("x" * 300))


def test_a_scene_that_is_named_twice_is_one_task(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [task.tile_id for task in tasks_of(scene=(Path("b"),), scenes=str(folder / "[ab]"))] == ["b", "a"]


def test_a_list_holds_a_path_per_line(folder):
    (folder / "list.txt").write_text(f"# my scenes\n\n  a  \n{folder / 'b'}\ngone\n")
    tasks = tasks_of(scenes=str(folder / "list.txt"))
    assert [task.path for task in tasks] == [folder / "a", folder / "b", folder / "gone"]


def test_mistakes_are_refused(folder):
    with pytest.raises(
        ConfigError, match="expected a scene at '.*/gone', but there is nothing that can be read: check the path"
    ):
        tasks_of(scene=(folder / "gone",))
    with pytest.raises(
        ConfigError, match=r"expected scenes \(folders, .tif, .tiff, .vrt\) that match '.*/x\*', but there are none"
    ):
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


def test_a_name_that_cannot_be_a_tile_id_is_refused_before_any_work(folder):
    (folder / ".hidden").mkdir()
    with pytest.raises(ConfigError, match="'.*/.hidden': the name of a scene must be usable.*no leading dot"):
        tasks_of(scene=folder / ".hidden")
    with pytest.raises(ConfigError, match=r"caf\\udce9': the name of a scene must be usable"):
        (folder / "caf\udce9").mkdir()
        tasks_of(scenes=str(folder / "caf*"))


def test_two_scenes_of_one_name_are_refused(folder):
    (folder / "a" / "b").mkdir()
    with pytest.raises(ConfigError, match="expected a tile id of its own.*'.*/b' and '.*/a/b' are both 'b'"):
        tasks_of(scene=(folder / "b", folder / "a" / "b"))


def test_a_folder_that_holds_folders_alone_is_one_of_scenes(folder):
    scenes = folder / "many [1]"
    (scenes / "b").mkdir(parents=True)
    (scenes / "a").mkdir()
    (scenes / ".cache").touch()
    assert [task.path for task in tasks_of(scenes=str(scenes))] == [scenes / "a", scenes / "b"]
    (scenes / "MTD_MSIL2A.xml").touch()  # now it is a scene
    assert [task.path for task in tasks_of(scenes=str(scenes))] == [scenes]
    safe = folder / "S2A.SAFE"
    (safe / "GRANULE").mkdir(parents=True)
    assert [task.tile_id for task in tasks_of(scenes=str(safe))] == ["S2A"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_names_scenes_and_maybe_their_tiles(folder, suffix):
    listed = pd.DataFrame({"scene": ["a", str(folder / "b")], "tile_id": ["first", None], "cloud": [0.1, 0.2]})
    file = folder / f"list.{suffix}"
    listed.to_csv(file, index=False) if suffix == "csv" else listed.to_parquet(file)
    tasks = tasks_of(scenes=str(file))
    assert [(task.path, task.tile_id) for task in tasks] == [(folder / "a", "first"), (folder / "b", "b")]
    listed = listed.drop(columns="tile_id")
    listed.to_csv(file, index=False) if suffix == "csv" else listed.to_parquet(file)
    assert [task.tile_id for task in tasks_of(scenes=str(file))] == ["a", "b"]


def test_tables_that_name_no_scenes_are_refused(folder):
    for name, text, message in [
        ("other.csv", "path\na\n", "expected the column 'scene' in '.*other.csv', but it has path"),
        ("none.csv", "scene\n", "expected one scene per row in '.*none.csv', but it names no scene"),
        ("hole.csv", "scene,tile_id\na,\n,x\n", "expected a path in the column 'scene' of row 2"),
        ("text.parquet", "no table", "expected a list of scenes at '.*text.parquet', but it cannot be read"),
    ]:
        (folder / name).write_text(text)
        with pytest.raises(ConfigError, match=message):
            list(listed_scenes(str(folder / name), out=folder / "out"))
    (folder / "empty.csv").touch()
    with pytest.raises(ConfigError, match="but it has none"):
        list(listed_scenes(str(folder / "empty.csv"), out=folder / "out"))
    with pytest.raises(ConfigError, match="'.*gone.csv', but it cannot be read: No such file"):
        list(listed_scenes(str(folder / "gone.csv"), out=folder / "out"))


def test_names_that_belong_to_the_run_are_refused(folder):
    (folder / "x" / "errors").mkdir(parents=True)
    with pytest.raises(ConfigError, match="expected a scene of another name than 'errors', which belongs to the run"):
        tasks_of(scene=folder / "x" / "errors")


def test_scenes_of_a_stream_come_as_they_are_written(folder):
    pipe = folder / "scenes"
    os.mkfifo(pipe)
    config = RunConfig(models="m.pt", out="out", scenes=(str(folder / "a"), str(pipe)))
    assert [task.tile_id for task in scene_tasks(config)] == ["a"]
    go_on = threading.Event()

    def write():
        with pipe.open("w") as lines:
            lines.write("# not yet\n\nb\n")
            lines.flush()
            assert go_on.wait(60)
            lines.write(f"x{'x' * 300}\n{folder / 'c'}\n")

    writer = threading.Thread(target=write)
    writer.start()
    tasks = streamed_tasks(config)
    first = next(tasks)
    go_on.set()
    assert [(task.path, task.tile_id) for task in (first, *tasks)] == [(folder / "b", "b"), (folder / "c", "c")]
    writer.join()


def test_standard_input_is_a_stream(monkeypatch, folder):
    monkeypatch.chdir(folder)
    assert list(streamed_scenes("-", standard_input=io.StringIO("a\n/b\n"))) == [folder / "a", Path("/b")]
    assert streamed_tasks(RunConfig(models="m.pt", out="out", scenes=str(folder / "*"))) is None
    assert scene_tasks(RunConfig(models="m.pt", out="out", scenes="-")) == []
