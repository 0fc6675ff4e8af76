import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from darts_train_utils.patch_store import PatchStore, has_scene, write_scene
from darts_utils.errors import TrainingDataError


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
    assert zarr.open_group(tmp_path / "scenes" / "b.zarr", mode="r").metadata.zarr_format == 3
    assert "positive_share" in pq.read_schema(tmp_path / "scenes" / "b.parquet").names


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
        "cut.parquet",
        "cut.zarr",
        "good.parquet",
        "good.zarr",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scene": "../x"}, "scene name of letters"),
        ({"variables": {}}, "of one shape"),
        ({"variables": {"red": np.zeros((3, 8, 7))}}, "of one shape"),
        ({"bounds": np.zeros((2, 4))}, "bounds .* of 3 patches"),
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
    with pytest.raises(TrainingDataError, match="scenes of one kind, but 'one' .* 'two'"):
        PatchStore(tmp_path)
