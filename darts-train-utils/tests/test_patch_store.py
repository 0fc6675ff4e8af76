import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from darts_train_utils import shards
from darts_train_utils.patch_store import (
    PatchStore,
    has_scene,
    remove_scene,
    scene_fingerprint,
    stored_scenes,
    write_scene,
)
from darts_utils.errors import OutputError, TrainingDataError


def a_scene(name="one", count=3, size=8, **changes):
    rng = np.random.default_rng(len(name))
    bounds = np.array([[10.0 * k, 0, 10.0 * k + 10, 10] for k in range(count)])
    red = rng.integers(0, 10_000, (count, size, size), dtype="uint16")
    slope = rng.random((count, size, size), dtype="float32")
    slope[0, 0, 0] = np.nan
    labels = rng.integers(0, 3, (count, size, size), dtype="uint8")
    values = dict(scene=name, region="r", crs="EPSG:3413", bounds=bounds, variables={"red": red, "slope": slope})
    return values | {"labels": labels} | changes


def test_what_is_written_is_read_bit_for_bit(tmp_path):
    scenes = [a_scene("b"), a_scene("aa.v1", count=2)]
    for scene in scenes:
        assert not has_scene(tmp_path, scene["scene"])
        write_scene(tmp_path, **scene)
        assert has_scene(tmp_path, scene["scene"])
    store = PatchStore(tmp_path)
    assert (len(store), store.variables) == (5, ("red", "slope"))
    assert [store.name_of(row) for row in range(5)] == ["aa.v1#0", "aa.v1#1", "b#0", "b#1", "b#2"]
    for row, (scene, patch) in enumerate([(1, 0), (1, 1), (0, 0), (0, 1), (0, 2)]):
        values, labels = store.read(row)
        for name, expected in scenes[scene]["variables"].items():
            assert values[name].dtype == expected.dtype
            np.testing.assert_array_equal(values[name], expected[patch])
        np.testing.assert_array_equal(labels, scenes[scene]["labels"][patch])
        known = labels[labels != 2]
        assert store.patches.positive_shares[row] == pytest.approx((known == 1).mean())


def test_any_zarr_library_reads_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_BYTES", 1000)  # two patches a file
    scene = a_scene("one", count=5)
    write_scene(tmp_path, **scene)
    group = zarr.open_group(tmp_path / "scenes" / "one" / "patches.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    np.testing.assert_array_equal(group["labels"][:], scene["labels"])
    for dtype, name in (("uint16", "red"), ("float32", "slope")):
        assert group[dtype].attrs["variables"] == [name]
        np.testing.assert_array_equal(group[dtype][:, 0], scene["variables"][name])
    assert len(list((tmp_path / "scenes" / "one" / "patches.zarr" / "labels" / "c").iterdir())) == 3
    store = PatchStore(tmp_path)
    for row in range(5):
        np.testing.assert_array_equal(store.read(row)[0]["slope"], scene["variables"]["slope"][row])


def test_variables_that_are_not_wanted_are_not_read(tmp_path):
    write_scene(tmp_path, **a_scene("one"))
    (tmp_path / "scenes" / "one" / "patches.zarr" / "float32" / "c" / "0" / "0" / "0" / "0").unlink()
    store = PatchStore(tmp_path)
    assert list(store.read(1, only=["red"])[0]) == ["red"]
    with pytest.raises(TrainingDataError, match=r"cannot read patch 1 of .* damaged; prepare the scene anew"):
        store.read(1)


def test_the_table_says_what_each_patch_is(tmp_path):
    facts = dict(date="2021-08-21", sensor="sentinel2", corners_px=np.array([[0, 0], [0, 8], [8, 0]]))
    path = write_scene(tmp_path, **a_scene("one", traits={"radius_m": 100.0}, fingerprint="f", **facts))
    row = pq.read_table(path).to_pylist()[1]
    assert row["positive_share"] == pytest.approx(PatchStore(tmp_path).patches.positive_shares[1])
    assert {key: row[key] for key in ("scene", "region", "date", "sensor", "row_px", "column_px", "left")} == {
        "scene": "one",
        "region": "r",
        "date": "2021-08-21",
        "sensor": "sentinel2",
        "row_px": 0,
        "column_px": 8,
        "left": 10.0,
    }
    assert (scene_fingerprint(tmp_path, "one"), scene_fingerprint(tmp_path, "two")) == ("f", None)
    assert PatchStore(tmp_path).traits == {"radius_m": 100.0}


@pytest.mark.parametrize("byte", [3, -1, -30])
def test_a_bit_that_flipped_is_noticed(tmp_path, byte):
    write_scene(tmp_path, **a_scene("one", count=1))
    shard = tmp_path / "scenes" / "one" / "patches.zarr" / "uint16" / "c" / "0" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[byte] ^= 1
    shard.write_bytes(data)
    with pytest.raises(TrainingDataError, match="damaged"):
        PatchStore(tmp_path).read(0)


def test_what_was_not_written_here_is_refused(tmp_path):
    write_scene(tmp_path, **a_scene("one"))
    folder = tmp_path / "scenes" / "one"
    group = zarr.open_group(folder / "patches.zarr", mode="a")
    group.create_array("uint16", data=np.zeros((3, 1, 8, 8), "uint16"), overwrite=True)
    with pytest.raises(TrainingDataError, match="cannot read .*uint16.* prepare the scene anew"):
        PatchStore(tmp_path)
    options = dict(shape=(3, 1, 8, 8), chunks=(1, 1, 8, 8), shards=(3, 1, 8, 8), dtype="uint16", overwrite=True)
    group.create_array("uint16", **options)
    with pytest.raises(TrainingDataError, match="sharded and compressed by bytes, blosc, crc32c"):
        PatchStore(tmp_path)
    shutil.rmtree(folder / "patches.zarr")
    with pytest.raises(TrainingDataError, match=r"cannot read .*patches.zarr"):
        PatchStore(tmp_path)
    pq.write_table(pa.table({"scene": ["one"]}), folder / "patches.parquet")
    assert scene_fingerprint(tmp_path, "one") is None
    with pytest.raises(TrainingDataError, match=r"cannot read .*patches.parquet"):
        PatchStore(tmp_path)


def test_of_two_writers_of_a_scene_one_is_there_whole(tmp_path):
    def write(number):
        values = np.full((3, 8, 8), number, "uint16")
        write_scene(tmp_path, **a_scene("one", variables={"red": values}, labels=values.astype("uint8") % 2))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    values, labels = PatchStore(tmp_path).read(2)
    assert (values["red"] % 2 == labels).all()
    assert np.unique(values["red"]).size == 1
    assert [path.name for path in (tmp_path / "scenes").iterdir()] == ["one"]


def test_a_scene_that_is_removed_leaves_nothing(tmp_path):
    for name in ("two", "one"):
        write_scene(tmp_path, **a_scene(name))
    (tmp_path / "beside").mkdir()
    assert stored_scenes(tmp_path) == ["one", "two"]
    for name in ("two", "../beside"):
        remove_scene(tmp_path, name)
    assert stored_scenes(tmp_path) == ["one"]
    assert (tmp_path / "beside").is_dir()
    remove_scene(tmp_path, "one")
    assert list((tmp_path / "scenes").iterdir()) == []
    assert stored_scenes(tmp_path) == stored_scenes(tmp_path / "absent") == []
    remove_scene(tmp_path, "one")
    (tmp_path / "scenes").rmdir()
    (tmp_path / "scenes").touch()
    with pytest.raises(OutputError, match="cannot remove .*one"):
        remove_scene(tmp_path, "one")


def test_a_disk_that_is_full_is_named(tmp_path):
    program = """if True:
        import resource, signal, sys
        import numpy as np
        from darts_train_utils.patch_store import write_scene
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        values = np.random.default_rng(0).integers(0, 60_000, (4, 64, 64), dtype="uint16")
        write_scene(sys.argv[1], scene="one", region="r", crs="EPSG:3413", bounds=np.zeros((4, 4)),
                    variables={"red": values}, labels=np.zeros((4, 64, 64), "uint8"))
    """
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert "OutputError: cannot write " in done.stderr.splitlines()[-1]
    assert "larger than the file system or a limit allows" in done.stderr
    assert list((tmp_path / "scenes").iterdir()) == []


@pytest.mark.parametrize("step", ["create_array", "write_table"])
def test_a_scene_that_was_cut_off_is_not_there_and_can_be_written_again(tmp_path, monkeypatch, step):
    write_scene(tmp_path, **a_scene("good"))

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(zarr.Group if step == "create_array" else pq, step, die)
        with pytest.raises(KeyboardInterrupt):
            write_scene(tmp_path, **a_scene("cut"))
    assert not has_scene(tmp_path, "cut")
    assert len(PatchStore(tmp_path)) == 3
    write_scene(tmp_path, **a_scene("cut"))
    assert len(PatchStore(tmp_path)) == 6
    assert sorted(path.name for path in (tmp_path / "scenes").iterdir()) == [
        "cut",
        "good",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scene": "../x"}, "scene name of letters"),
        ({"variables": {}}, "of one shape"),
        ({"variables": {"red": np.zeros((3, 8, 7))}}, "of one shape"),
        ({"bounds": np.zeros((2, 4))}, "bounds .* of 3 patches"),
        ({"corners_px": np.zeros((2, 2), "int64")}, "corners .* of 3 patches"),
        ({"labels": np.zeros((3, 8, 8), "int64")}, "but got int64"),
        ({"labels": np.full((3, 8, 8), 7, "uint8")}, "uint8 labels 0, 1, 2"),
    ],
)
def test_nonsense_is_refused(tmp_path, changes, message):
    with pytest.raises(TrainingDataError, match=message):
        write_scene(tmp_path, **a_scene(**changes))


def test_empty_stores_and_scenes_of_two_kinds_are_refused(tmp_path):
    with pytest.raises(TrainingDataError, match="none that is complete"):
        PatchStore(tmp_path)
    write_scene(tmp_path, **a_scene("one"))
    write_scene(tmp_path, **a_scene("two", size=4))
    with pytest.raises(TrainingDataError, match="scenes of one kind, but .* 'one' .* 'two'"):
        PatchStore(tmp_path)
    write_scene(tmp_path, **a_scene("two", traits={"radius_m": 300}))
    with pytest.raises(TrainingDataError, match="traits of 'one' are {} and those of 'two' {'radius_m': 300}"):
        PatchStore(tmp_path)
