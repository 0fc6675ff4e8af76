import darts_preprocessing
import darts_preprocessing.loading


def test_public_names():
    verbs = {
        "calculate_aspect",
        "calculate_curvature",
        "calculate_dissection",
        "calculate_hillshade",
        "calculate_index",
        "calculate_ndvi",
        "calculate_relative_elevation",
        "calculate_slope",
        "calculate_terrain_ruggedness",
        "calculate_vector_ruggedness",
        "derive_masks",
        "harmonize_reflectance",
    }
    verbs |= {"load_and_preprocess", "preprocess"}
    twins = {f"{name}_batched" for name in verbs}
    assert set(darts_preprocessing.__all__) == verbs | twins | {
        "FEATURES",
        "PreprocessingConfig",
        "align",
        "index_names",
        "load_auxiliary",
    }
    loaders = {"arcticdem", "geotiff", "planet_scene", "safe", "scene", "sentinel2_scene", "tcvis"}
    assert set(darts_preprocessing.loading.__all__) == {f"load_{name}" for name in loaders} | {"parse_bands"}
