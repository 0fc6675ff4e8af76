from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

from darts_export import thumbnails
from darts_export.captions import add_caption, scale_bar
from darts_export.pictures import draw_picture
from darts_export.thumbnails import draw_thumbnail, write_jpeg
from darts_utils.grids import coords_of, geobox_of
from darts_utils.testing import example_tile


def _draw(tile: xr.Dataset, *outlines: shapely.Geometry, longer_side_px: int = 1024) -> np.ndarray:
    picture = draw_picture(tile, outlines, transform=geobox_of(tile).affine, longer_side_px=longer_side_px)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def _ramp_tile() -> xr.Dataset:
    """Each band is a ramp from its own dark to its own bright."""
    tile = example_tile(["blue", "green", "red", "valid_data_mask", "quality_data_mask"], shape=(100, 101))
    for name, factor in (("red", 10), ("green", 5), ("blue", 2)):
        tile[name][:] = (np.arange(101) * factor + 300)[None, :]
    tile.valid_data_mask[:] = tile.quality_data_mask[:] = True
    return tile


def test_bands_are_stretched_between_their_percentiles() -> None:
    picture = _draw(_ramp_tile())
    assert picture.shape == (100, 101, 3)
    expected = np.clip((np.arange(101) - 2) / 96 * 255, 0, 255).round()
    for band in range(3):
        np.testing.assert_allclose(picture[50, :, band], expected, atol=1)


def test_clouds_do_not_decide_the_stretch_and_nodata_is_black() -> None:
    clear, cloudy = _ramp_tile(), _ramp_tile()
    for name in ("red", "green", "blue"):
        cloudy[name][:30] = 20_000
    cloudy.quality_data_mask[:30] = False
    cloudy.valid_data_mask[95:] = False
    picture = _draw(cloudy)
    np.testing.assert_array_equal(picture[30:95], _draw(clear)[30:95])
    assert (picture[:30] == 255).all()
    assert (picture[95:] == 0).all()


def test_without_masks_and_without_good_pixels() -> None:
    tile = _ramp_tile()
    plain = _draw(tile[["red", "green", "blue"]])
    tile.quality_data_mask[:] = False
    np.testing.assert_array_equal(_draw(tile), plain)
    tile.valid_data_mask[:] = False
    assert (_draw(tile) == 0).all()


def test_one_good_pixel_between_the_samples() -> None:
    tile = example_tile(["blue", "green", "red", "quality_data_mask"], shape=(2050, 3))
    tile.quality_data_mask[:] = False
    tile.quality_data_mask[1, 1] = True
    assert _draw(tile, longer_side_px=2050).shape == (2050, 3, 3)


@pytest.mark.parametrize(("shape", "expected"), [((100, 200), (32, 64)), ((1, 200), (1, 64)), ((20, 30), (20, 30))])
def test_size(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert _draw(example_tile(["blue", "green", "red"], shape=shape), longer_side_px=64).shape[:2] == expected


def test_outlines_are_drawn_where_the_object_is() -> None:
    tile = _ramp_tile()
    tile.valid_data_mask[:] = False
    left, top = geobox_of(tile).affine * (20, 30)
    ring = shapely.box(left, top - 400, left + 400, top) - shapely.box(left + 150, top - 250, left + 250, top - 150)
    drawn = (
        _draw(tile, ring, shapely.MultiPolygon([shapely.box(left + 500, top - 600, left + 600, top - 500)])) > 0
    ).any(axis=-1)
    assert drawn[30, 20:60].all()
    assert drawn[30:70, 20].all()
    assert drawn[50, 35]  # the hole
    assert drawn[80:90, 70].all()  # the other object
    assert not drawn[33:45, 23:34].any()
    assert not drawn[:28].any()


def test_jpeg(tmp_path: Path) -> None:
    tile = _ramp_tile()
    write_jpeg(draw_picture(tile, [], transform=geobox_of(tile).affine), tmp_path / "thumbnail.jpg")
    with Image.open(BytesIO((tmp_path / "thumbnail.jpg").read_bytes())) as back:
        assert (back.format, back.mode, back.size) == ("JPEG", "RGB", (101, 100))
        back.load()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (60, 70), (1300, 900)])
@pytest.mark.parametrize("name", ["4372514_2021-08-21", "a" * 150])
def test_every_tile_has_a_caption_that_can_be_read(shape: tuple[int, int], name: str) -> None:
    tile = example_tile(["blue", "green", "red", "valid_data_mask"], shape=shape).assign_attrs(tile_id=name)
    tile.valid_data_mask[:] = True
    picture = draw_picture(tile, [], transform=geobox_of(tile).affine)
    sheet = draw_thumbnail(tile, [], grid=geobox_of(tile))
    assert sheet.width == max(picture.width, 320)
    left = (sheet.width - picture.width) // 2
    assert sheet.crop((left, 0, left + picture.width, picture.height)).tobytes() == picture.tobytes()
    caption = np.asarray(sheet)[picture.height :].min(axis=-1)
    dark = (caption < 100).any(axis=1)
    assert dark.sum() >= 30  # four lines of letters
    assert (caption[:, -4:] > 200).all()  # nothing runs out of the sheet


def test_a_shrunken_pixel_is_the_mean_of_what_is_valid() -> None:
    tile = _ramp_tile().isel(x=slice(0, 100))
    tile.valid_data_mask[:, 1::2] = tile.quality_data_mask[:, 1::2] = False
    expected = _draw(tile)[::2, ::2]
    for name in ("red", "green", "blue"):
        tile[name][:, 1::2] = 60_000  # not valid
    np.testing.assert_allclose(_draw(tile, longer_side_px=50).astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize(
    ("longest_px", "metres_per_px", "expected"),
    [(100, 1, (100, "100 m")), (99, 1, (50, "50 m")), (350, 29.3, (10_000 / 29.3, "10 km")), (40, 0.01, (20, "0.2 m"))],
)
def test_scale_bars_have_round_lengths(longest_px: float, metres_per_px: float, expected: tuple[float, str]) -> None:
    found = scale_bar(longest_px, metres_per_px=metres_per_px)
    assert found is not None
    assert found[0] == pytest.approx(expected[0])
    assert found[1] == expected[1]
    assert scale_bar(1, metres_per_px=metres_per_px) is None


@pytest.mark.parametrize(
    ("crs", "origin", "step", "expected"),
    [
        ("EPSG:32608", (500_000, 7_550_000), 10.0, 10.004),
        ("EPSG:4326", (-138, 70), 1e-4, 3.8188),
        ("EPSG:3857", (-15_400_000, 11_068_000), 10.0, 3.43),  # Web Mercator stretches by 1 / cos(latitude)
        ("+proj=utm +zone=8 +ellps=WGS84 +units=us-ft", (1_640_000, 24_770_000), 10.0, 3.0492),
        (
            'ENGCRS["local",EDATUM["d"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]',
            (0, 0),
            1,
            None,
        ),
    ],
)
def test_scales_are_those_on_the_ground(
    monkeypatch: pytest.MonkeyPatch, crs: str, origin: tuple[float, float], step: float, expected: float | None
) -> None:
    scales = []

    def noting(picture: Image.Image, *, metres_per_px: float | None, **_: object) -> Image.Image:
        scales.append(metres_per_px)
        return picture

    monkeypatch.setattr(thumbnails, "add_caption", noting)
    grid = GeoBox((10, 20), Affine(step, 0, origin[0], 0, -step, origin[1]), crs)
    tile = example_tile(["red", "green", "blue"], shape=(10, 20))
    picture = draw_thumbnail(tile.assign_coords(coords_of(grid)), [], grid=grid)
    assert scales == [None if expected is None else pytest.approx(expected * 20 / picture.width, rel=1e-3)]


def test_a_caption_without_a_scale() -> None:
    picture = Image.new("RGB", (400, 10))
    heights = [add_caption(picture, lines=["a"], legend=[], metres_per_px=each).height for each in (None, 3.0)]
    assert heights == [46, 66]
