import inspect

import pytest

import darts_postprocessing
from darts_postprocessing import (
    PostprocessingConfig,
    binarize,
    drop_implausible_objects,
    erode_extent,
    postprocess,
    remove_small_objects,
)


def test_public_names() -> None:
    assert darts_postprocessing.__all__ == [
        "PostprocessingConfig",
        "binarize",
        "binarize_batched",
        "drop_edge_objects",
        "drop_edge_objects_batched",
        "drop_implausible_objects",
        "drop_implausible_objects_batched",
        "erode_extent",
        "erode_extent_batched",
        "postprocess",
        "postprocess_batched",
        "remove_small_objects",
        "remove_small_objects_batched",
    ]


@pytest.mark.parametrize("verb", [binarize, drop_implausible_objects, erode_extent, postprocess, remove_small_objects])
def test_each_default_has_one_home(verb: object) -> None:
    options = [each for each in inspect.signature(verb).parameters.values() if each.kind is each.KEYWORD_ONLY]
    assert options
    for option in options:
        assert option.default == getattr(PostprocessingConfig, option.name)
