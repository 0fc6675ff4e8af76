import numpy as np
import pytest

from darts_preprocessing import calculate_index, calculate_ndvi, derive_masks, harmonize_reflectance
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.variables import OPTICAL_BANDS

TILE = derive_masks(example_tile([*OPTICAL_BANDS, "s2_scl"]))


def scaled(scale, offset, counts):
    def changed(array):
        values = np.full(array.shape, 5000, "uint16")
        values[0, : len(counts)] = counts
        return array.copy(data=values).assign_attrs(reflectance_scale=scale, reflectance_offset=offset)

    return TILE.assign({name: changed(TILE[name]) for name in OPTICAL_BANDS}).assign(
        valid_data_mask=TILE.valid_data_mask | True
    )


def test_contract():
    assert_verb_contract(harmonize_reflectance, TILE, adds=(), changes=OPTICAL_BANDS, needs=OPTICAL_BANDS)


@pytest.mark.parametrize(
    ("scale", "offset", "counts", "expected"),
    [
        (1e-4, 0.0, [1, 2500, 65535], [1, 2500, 65535]),
        (1e-4, -0.1, [1, 999, 1000, 1001, 11000], [0, 0, 0, 1, 10000]),  # Sentinel-2 from baseline 04.00 on
        (2e-4, 0.0, [1, 40000], [2, 65535]),
        (2.5e-5, 0.0, [1, 2, 3, 6], [0, 0, 1, 2]),
    ],
)
def test_scale_and_offset(scale, offset, counts, expected):
    for name, band in harmonize_reflectance(scaled(scale, offset, counts))[list(OPTICAL_BANDS)].items():
        assert band.values[0, : len(expected)].tolist() == expected, name
        assert band.attrs["reflectance_scale"] == 1e-4
        assert band.attrs["reflectance_offset"] == 0


def test_invalid_pixels_are_zero_and_twice_is_once():
    once = harmonize_reflectance(scaled(1e-4, -0.1, [1]).assign(valid_data_mask=TILE.valid_data_mask))
    assert (once.red.values[~TILE.valid_data_mask.values] == 0).all()
    assert harmonize_reflectance(once).identical(once)


def test_masks_are_derived_where_they_are_absent_and_kept():
    raw = example_tile([*OPTICAL_BANDS, "s2_scl"])
    result = assert_verb_contract(
        harmonize_reflectance,
        raw,
        adds={"valid_data_mask", "quality_data_mask"},
        changes=OPTICAL_BANDS,
        needs=OPTICAL_BANDS,
    )
    assert result.attrs["quality_source"] == "s2_scl"
    for name in ("valid_data_mask", "quality_data_mask"):
        assert result[name].identical(TILE[name])
    assert harmonize_reflectance(result).identical(result)
    np.testing.assert_array_equal(result.red.values, harmonize_reflectance(TILE).red.values)


def test_a_band_must_say_its_scale():
    tile = TILE.copy(deep=True)
    del tile.green.attrs["reflectance_offset"]
    with pytest.raises(TileContractError, match="band 'green'.*reflectance_offset"):
        harmonize_reflectance(tile)


def test_ndvi_contract():
    tile = example_tile(["red", "nir", "valid_data_mask"])
    assert_verb_contract(calculate_ndvi, tile, adds={"ndvi"}, needs=["red", "nir", "valid_data_mask"], nan_reach_px=0)


# red, nir (reflectance × 10 000), NDVI by hand
NDVI_EXPECTED = [
    (1000, 3000, 0.5),
    (3000, 1000, -0.5),
    (0, 500, 1.0),
    (500, 0, -1.0),
    (0, 0, np.nan),
    (20000, 10000, 0.0),
]


def test_ndvi_by_hand():
    tile = example_tile(["red", "nir", "valid_data_mask"], shape=(1, len(NDVI_EXPECTED)))
    red, nir, expected = (np.array([column]) for column in zip(*NDVI_EXPECTED, strict=True))
    tile = tile.assign(
        red=tile.red.copy(data=red.astype("uint16")),
        nir=tile.nir.copy(data=nir.astype("uint16")),
        valid_data_mask=tile.valid_data_mask | True,
    )
    np.testing.assert_allclose(calculate_ndvi(tile).ndvi.values, expected, atol=1e-7)
    assert np.isnan(calculate_ndvi(tile.assign(valid_data_mask=~tile.valid_data_mask)).ndvi.values).all()


def test_counts_of_the_sensor_are_no_reflectance():
    """Sentinel-2 from baseline 04.00 on: red 1500 and nir 4000 are 0.05 and 0.3."""
    raw = scaled(1e-4, -0.1, [])
    raw = raw.assign(
        red=raw.red.copy(data=np.full_like(raw.red, 1500)), nir=raw.nir.copy(data=np.full_like(raw.nir, 4000))
    )
    with pytest.raises(
        TileContractError,
        match=r"calculate_ndvi needs reflectance × 10 000 in 'red'; tile 'example-0' says .*run preprocessing first",
    ):
        calculate_ndvi(raw)
    for name, consumer in (("GNDVI", r"calculate_index\('GNDVI'\)"), ("ndvi", "calculate_ndvi")):
        with pytest.raises(TileContractError, match=f"{consumer} needs reflectance × 10 000 in"):
            calculate_index(raw, name)
    np.testing.assert_allclose(calculate_ndvi(harmonize_reflectance(raw)).ndvi.values, 0.25 / 0.35, rtol=1e-6)


def test_bands_that_do_not_say_their_scale_are_reflectance():
    bare = TILE.assign({name: TILE[name].drop_attrs() for name in OPTICAL_BANDS})
    np.testing.assert_array_equal(calculate_ndvi(bare).ndvi.values, calculate_ndvi(TILE).ndvi.values)
    assert calculate_index(bare, "EVI").evi.equals(calculate_index(TILE, "EVI").evi)


@pytest.mark.parametrize("verb", [harmonize_reflectance, calculate_ndvi])
def test_backends_agree(verb, backend):
    name = "ndvi" if verb is calculate_ndvi else "red"
    np.testing.assert_array_equal(backend.values(verb(backend.tile(TILE))[name]), verb(TILE)[name].values)


def test_missing_variables_are_named():
    with pytest.raises(MissingVariableError, match="calculate_ndvi needs 'nir'.*harmonize_reflectance"):
        calculate_ndvi(TILE.drop_vars("nir"))
