"""How many scenes are on their way at once."""

import threading

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from darts_nextgen import RunConfig
from darts_nextgen.pipeline.admission import Admission, expected_bytes
from darts_postprocessing import PostprocessingConfig


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 100), min_size=1, max_size=30),
    limit=st.integers(1, 400),
    chance=st.randoms(use_true_random=False),
)
def test_what_is_inside_fits_into_the_limit_or_is_the_least(sizes, limit, chance):
    admission, inside = Admission(limit, least=1), {}
    for number, size in enumerate(sizes):
        while inside and not admission._has_room(size):
            gone = chance.choice(list(inside))
            del inside[gone]
            admission.leave(gone)
        assert admission.enter(number, expected_bytes=size)
        inside[number] = size
        assert 2 * sum(inside.values()) <= limit or len(inside) == 1
        assert admission.inside == len(inside)


def test_who_finds_no_room_waits_until_there_is():
    admission = Admission(100, least=1)
    assert admission.enter(0, expected_bytes=40)
    entered = threading.Event()

    def enter():
        admission.enter(1, expected_bytes=40)
        entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not entered.wait(0.2)
    admission.leave(0)
    assert entered.wait(30)
    waiting.join()


def test_what_was_larger_than_expected_makes_all_others_larger():
    admission = Admission(200, least=1)
    for number in range(3):
        assert admission.enter(number, expected_bytes=10)
    assert admission._has_room(70)
    admission.leave(0, measured_bytes=20)
    assert admission._has_room(30)
    assert not admission._has_room(31)
    admission.leave(1, measured_bytes=5)
    assert not admission._has_room(41)


def test_nobody_waits_for_a_run_that_has_ended():
    admission = Admission(1, least=1)
    assert admission.enter(0, expected_bytes=10)
    results = []
    waiting = threading.Thread(target=lambda: results.append(admission.enter(1, expected_bytes=10)))
    waiting.start()
    admission.close()
    waiting.join()
    assert results == [False]
    assert admission.is_closed


def config_of(**options):
    return RunConfig(scene="a", models="m.pt", out="out", **options)


def test_the_size_of_a_tile_is_known_from_the_header_of_its_largest_raster(tmp_path):
    scene = tmp_path / "scene"
    (scene / "deep").mkdir(parents=True)
    for name, size in (("small.tif", 10), ("deep/large.tif", 60)):
        profile = {"width": size, "height": 50, "count": 1, "dtype": "uint16", "transform": from_origin(0, 0, 3, 3)}
        with rasterio.open(scene / name, "w", driver="GTiff", **profile) as raster:
            raster.write(np.zeros((1, 50, size), "uint16"))
    features = ("ndvi", "tc_brightness")
    expected = 60 * 50 * (12 + 4 + 1 + 4)
    assert expected_bytes(scene, config=config_of(), features=features, models=2) == expected
    assert expected_bytes(scene / "deep" / "large.tif", config=config_of(), features=features, models=2) == expected
    members = config_of(postprocessing=PostprocessingConfig(keep_members=True))
    assert expected_bytes(scene, config=members, features=(), models=2) == 60 * 50 * (12 + 3 * 4)


@pytest.mark.parametrize("name", ["gone", "empty", "broken.tif"])
def test_what_cannot_be_read_needs_no_memory(name, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    assert expected_bytes(tmp_path / name, config=config_of(), features=(), models=1) == 0
