import numpy as np
import pytest

from darts_preprocessing import derive_masks, harmonize_reflectance, preprocess
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.testing import assert_verb_contract, example_tile
from darts_utils.variables import OPTICAL_BANDS

PLANET = example_tile([*OPTICAL_BANDS, "planet_udm2", "planet_udm1"])
SENTINEL = example_tile([*OPTICAL_BANDS, "s2_scl"])


@pytest.mark.parametrize("tile", [PLANET, SENTINEL, example_tile(OPTICAL_BANDS)])
def test_contract(tile):
    assert_verb_contract(
        derive_masks, tile, adds={"valid_data_mask", "quality_data_mask"}, needs=OPTICAL_BANDS, nan_reach_px=0
    )


def with_codes(tile, **codes):
    """The tile with its first row set to the codes, everything else clear."""
    changed = {}
    for name, values in codes.items():
        array = np.zeros(tile[name].shape, "uint8")
        array[0, : len(values)] = values
        changed[name] = tile[name].copy(data=array)
    return tile.assign(changed)


# value of udm2's bits 0-5 (clear, snow, shadow, light haze, heavy haze, cloud), value of udm1, valid, quality
PLANET_EXPECTED = [
    (0b000001, 0b0000000, True, True),
    (0b000000, 0b0000000, True, True),
    (0b000010, 0b0000000, True, False),
    (0b000100, 0b0000000, True, False),
    (0b001000, 0b0000000, True, False),
    (0b010000, 0b0000000, True, False),
    (0b100000, 0b0000000, True, False),
    (0b000001, 0b0000001, False, False),  # blackfill
    (0b000001, 0b0000010, True, False),  # the old cloud bit is cloud, not missing data
    (0b000001, 0b0000100, True, False),  # suspect in blue
    (0b000001, 0b1000000, True, False),
    (0b100000, 0b0000001, False, False),
]


def test_planet_bits():
    udm2, udm1, valid, quality = (list(column) for column in zip(*PLANET_EXPECTED, strict=True))
    tile = derive_masks(with_codes(PLANET, planet_udm2=udm2, planet_udm1=udm1))
    assert tile.valid_data_mask.values[0, : len(valid)].tolist() == valid
    assert tile.quality_data_mask.values[0, : len(quality)].tolist() == quality
    assert tile.attrs["quality_source"] == "planet_udm2"


# class: valid, quality
SCL_EXPECTED = {
    0: (False, False),
    1: (True, False),
    2: (True, True),
    3: (True, False),
    4: (True, True),
    5: (True, True),
    6: (True, True),
    7: (True, True),
    8: (True, False),
    9: (True, False),
    10: (True, False),
    11: (True, False),
    12: (False, False),
    255: (False, False),
}


def test_scene_classification():
    tile = derive_masks(with_codes(SENTINEL, s2_scl=list(SCL_EXPECTED)))
    for column, (valid, quality) in enumerate(SCL_EXPECTED.values()):
        assert bool(tile.valid_data_mask[0, column]) == valid
        assert bool(tile.quality_data_mask[0, column]) == quality


def test_without_a_sensor_mask_quality_is_validity():
    tile = derive_masks(example_tile(OPTICAL_BANDS))
    assert tile.attrs["quality_source"] == "none"
    assert tile.quality_data_mask.values.all()


def test_a_zero_of_harmonised_bands_is_no_reason_to_be_invalid():
    """Dark pixels of Sentinel-2 become 0: what they are is known from the mask alone."""
    dark = {name: SENTINEL[name].assign_attrs(reflectance_offset=-0.1) for name in OPTICAL_BANDS}
    dark["blue"] = dark["blue"].copy(data=np.full(dark["blue"].shape, 900, "uint16"))
    raw = with_codes(SENTINEL.assign(dark), s2_scl=[4, 0, 8]).assign()
    raw = raw.assign(
        s2_scl=raw.s2_scl.copy(data=np.maximum(raw.s2_scl.values, np.array([4, 0, 4] + [4] * 37, "uint8")))
    )
    once = derive_masks(raw)
    harmonised = harmonize_reflectance(raw)
    assert (harmonised.blue.values == 0).all()
    again = derive_masks(harmonised)
    for name in ("valid_data_mask", "quality_data_mask"):
        np.testing.assert_array_equal(again[name].values, once[name].values)
        np.testing.assert_array_equal(harmonised[name].values, once[name].values)
    assert once.valid_data_mask.values.sum() == once.valid_data_mask.size - 32


@pytest.mark.parametrize("verb", [derive_masks, harmonize_reflectance, preprocess])
def test_harmonised_bands_without_their_mask_are_refused(verb):
    harmonised = harmonize_reflectance(SENTINEL).drop_vars(["valid_data_mask", "quality_data_mask"])
    with pytest.raises(
        MissingVariableError, match="derive_masks needs 'valid_data_mask'.*keep the mask of harmonised bands"
    ):
        verb(harmonised)


@pytest.mark.parametrize("band", OPTICAL_BANDS)
def test_a_zero_in_any_band_is_no_data(band):
    values = SENTINEL[band].values.copy()
    values[3, 4] = 0
    tile = derive_masks(with_codes(SENTINEL.assign({band: SENTINEL[band].copy(data=values)}), s2_scl=[4]).assign())
    assert not tile.valid_data_mask[3, 4]


def test_half_a_planet_mask_is_refused():
    with pytest.raises(MissingVariableError, match="derive_masks needs 'planet_udm1'.*load both"):
        derive_masks(PLANET.drop_vars("planet_udm1"))


@pytest.mark.parametrize("mask", ["s2_scl", "planet_udm2", "planet_udm1", "valid_data_mask"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: array.transpose("x", "y"), r"must have dims \('y', 'x'\), but got \('x', 'y'\): transpose it"),
        (lambda array: array.astype("float32"), "must be .*, but got float32: convert it"),
    ],
)
def test_a_mask_of_another_form_is_refused(mask, change, message):
    tile = harmonize_reflectance(SENTINEL) if mask in ("s2_scl", "valid_data_mask") else PLANET
    spoiled = tile.assign({mask: change(tile[mask])})
    for verb in (derive_masks, *([harmonize_reflectance] if mask == "valid_data_mask" else [])):
        with pytest.raises(TileContractError, match=f"variable '{mask}' of tile 'example-0' {message}"):
            verb(spoiled)


def test_backends_agree(backend):
    result = derive_masks(backend.tile(PLANET))
    expected = derive_masks(PLANET)
    for name in ("valid_data_mask", "quality_data_mask"):
        np.testing.assert_array_equal(backend.values(result[name]), expected[name].values)
