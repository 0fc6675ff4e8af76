"""The scene classification of Sentinel-2 on the grid of the image."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from darts_preprocessing import load_and_preprocess
from darts_preprocessing.loading import load_sentinel2_scene
from darts_utils.errors import DartsWarning, GridMismatchError
from darts_utils.grids import geobox_of

IMAGE = GeoBox((41, 50), Affine(10, 0, 500_010, 0, -10, 7_499_990), "EPSG:32608")


@pytest.fixture
def scene(tmp_path, write):
    """A folder with an image, and a function that writes its classification and loads both."""
    folder = tmp_path / "20210821T210019_20210821T210020_T08WMA"
    folder.mkdir()
    write(folder / "x_SR_clip.tif", IMAGE, np.full((4, *IMAGE.shape), 3000, "uint16"), nodata=0)

    def loaded(grid, classes, **profile):
        write(folder / "x_SCL_clip.tif", grid, classes, **profile)
        return load_sentinel2_scene(folder, offset_dn=0)

    return loaded


def random_classes(shape):
    return np.random.default_rng(0).integers(1, 12, shape, dtype="uint8")


def at(left, top, shape, *, step=20.0, crs="EPSG:32608"):
    return GeoBox(shape, Affine(step, 0, left, 0, -step, top), crs)


def by_definition(classes, grid):
    """The class at each pixel centre, one by one."""
    fine = np.zeros(tuple(IMAGE.shape), "uint8")
    for row, column in np.ndindex(*IMAGE.shape):
        x, y = IMAGE.affine.c + 10 * (column + 0.5), IMAGE.affine.f - 10 * (row + 0.5)
        there = int((grid.affine.f - y) // grid.affine.a), int((x - grid.affine.c) // grid.affine.a)
        if 0 <= there[0] < classes.shape[0] and 0 <= there[1] < classes.shape[1]:
            fine[row, column] = classes[there]
    return fine


@pytest.mark.parametrize(
    "grid",
    [
        at(500_010, 7_499_990, (21, 25)),
        at(500_000, 7_500_000, (22, 26)),  # the 20 m raster begins one 10 m pixel before
        at(499_900, 7_500_200, (60, 60)),
        at(500_003, 7_499_999, (30, 30)),
        at(500_010, 7_499_990, (41, 50), step=10.0),
        at(499_960, 7_500_000, (60, 60), step=10.0),
    ],
)
def test_each_pixel_has_the_class_at_its_centre(scene, grid):
    classes = random_classes(grid.shape)
    np.testing.assert_array_equal(scene(grid, classes).s2_scl.values, by_definition(classes, grid))


def test_where_the_classification_ends_pixels_are_missing(scene):
    grid = at(500_010, 7_499_990, (20, 25))
    classes = random_classes(grid.shape)
    with pytest.warns(
        DartsWarning, match=r"_SCL_clip.tif' misses 2.44 % of '.*_SR_clip.tif': these pixels count as missing"
    ):
        tile = scene(grid, classes)
    np.testing.assert_array_equal(tile.s2_scl.values, by_definition(classes, grid))
    assert (tile.s2_scl.values[40] == 0).all()


def test_a_nodata_value_of_the_classification_is_missing(scene, tmp_path):
    grid = at(500_010, 7_499_990, (21, 25))
    classes = np.full(grid.shape, 4, "uint8")
    classes[:5] = 255
    assert (scene(grid, classes, nodata=255).s2_scl.values[:10] == 0).all()
    tile = load_and_preprocess(next(tmp_path.iterdir()), sentinel2_offset_dn=0)
    for mask in (tile.valid_data_mask, tile.quality_data_mask):
        np.testing.assert_array_equal(mask.values, np.arange(41)[:, None] >= np.full(50, 10))


@pytest.mark.parametrize("step", [60.0, 5.0, 5000.0])
def test_pixels_of_another_size_are_refused(scene, step):
    grid = at(500_010, 7_499_990, (90, 110), step=step)
    message = (
        rf"^'.*_SCL_clip.tif' must have pixels of 10 m or 20 m, but has {step:g} m × {step:g} m: it is another product$"
    )
    with pytest.raises(GridMismatchError, match=message):
        scene(grid, random_classes(grid.shape))


def test_a_classification_elsewhere_is_refused(scene):
    grid = at(600_000, 7_499_990, (21, 25))
    with pytest.raises(
        GridMismatchError, match=r"^'.*_SCL_clip.tif' must cover '.*_SR_clip.tif', but covers \(600000.0"
    ):
        scene(grid, random_classes(grid.shape))


def test_a_classification_in_another_crs_is_refused(scene):
    grid = at(500_010, 7_499_990, (21, 25), crs="EPSG:32609")
    with pytest.raises(
        GridMismatchError, match=r"^.*must be in the CRS of .*, EPSG:32608 \(.*\), but is in EPSG:32609"
    ):
        scene(grid, random_classes(grid.shape))


def test_the_image_keeps_its_grid(scene):
    assert geobox_of(scene(at(500_000, 7_500_000, (22, 26)), random_classes((22, 26)))) == IMAGE
