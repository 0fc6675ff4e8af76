"""Training samples, varied; each by seed, epoch and index alone, so that any one can be made again.

Works on network input in which missing values are still NaN: they stay NaN under brightness and noise, spread to what is
interpolated from them, and appear where a turn looks out of the patch. Labels are moved as they are, never mixed; out of the
patch they are 2.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import affine_grid, grid_sample

from darts_train_utils.config import IGNORE_LABEL, AugmentationConfig
from darts_utils.errors import TrainingDataError

_CROP = 1
"""Last part of the seed of a crop, so that it is drawn apart from the variation of what it shows."""


def crop_window(
    labels: NDArray[np.uint8], *, seed: int, epoch: int, index: int, config: AugmentationConfig
) -> tuple[slice, slice]:
    """Draw the square of a patch that one sample shows.

    Args:
        labels: ``(H, W)`` uint8 of the whole patch.
        seed: Of the training, at least 0.
        epoch: Counts from 0.
        index: Of the sample in the epoch, from 0.
        config: Edge of the square, and how often it shows the class.

    Returns:
        Rows and columns; the whole patch where the edge is not set.

    Raises:
        TrainingDataError: The patch is smaller than the square.

    Examples:
        >>> labels = np.zeros((8, 8), "uint8")
        >>> labels[7, 7] = 1
        >>> config = AugmentationConfig(crop_px=4, crop_on_class_share=1.0)
        >>> rows, columns = crop_window(labels, seed=0, epoch=0, index=0, config=config)
        >>> labels[rows, columns].shape, int(labels[rows, columns].max())
        ((4, 4), 1)
    """
    edge = config.crop_px
    if edge is None:
        return slice(0, labels.shape[0]), slice(0, labels.shape[1])
    room = np.array(labels.shape) - edge
    if room.min() < 0:
        raise TrainingDataError(
            f"expected patches of at least crop_px = {edge}, but got {labels.shape}: choose a smaller crop_px"
        )
    rng = np.random.default_rng([seed, epoch, index, _CROP])
    corner = rng.integers(0, room + 1)
    if rng.random() < config.crop_on_class_share:
        of_class = np.flatnonzero(labels == 1)
        if of_class.size:
            pixel = np.array(divmod(int(rng.choice(of_class)), labels.shape[1]))
            corner = np.clip(pixel - rng.integers(0, edge, 2), 0, room)
    row, column = map(int, corner)
    return slice(row, row + edge), slice(column, column + edge)


def augment(
    image: NDArray[np.float32],
    labels: NDArray[np.uint8],
    *,
    seed: int,
    epoch: int,
    index: int,
    config: AugmentationConfig,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Vary one sample.

    Args:
        image: ``(C, H, W)`` float32 network input, NaN where missing; untouched.
        labels: ``(H, W)`` uint8: 0, 1, 2 (ignored); untouched.
        seed: Of the training, at least 0.
        epoch: Counts from 0.
        index: Of the sample in the epoch, from 0.
        config: What is drawn from.

    Returns:
        Image and labels of the same shapes and dtypes, new; values may leave 0 … 1. Patches that are not square are only
        mirrored and turned by 180°.

    Raises:
        TrainingDataError: Shapes do not fit.

    Examples:
        >>> image, labels = np.random.rand(3, 8, 8).astype("float32"), np.zeros((8, 8), "uint8")
        >>> draw = dict(seed=0, epoch=2, index=7, config=AugmentationConfig())
        >>> bool((augment(image, labels, **draw)[0] == augment(image, labels, **draw)[0]).all())
        True
    """
    if image.ndim != 3 or image.shape[1:] != labels.shape:
        raise TrainingDataError(
            f"expected an image (C, H, W) and labels (H, W), but got {image.shape} and {labels.shape}"
        )
    rng = np.random.default_rng([seed, epoch, index])
    if config.symmetries:
        image, labels = _symmetry(image, labels, rng)
    image, labels = np.array(image, order="C"), np.array(labels, order="C")  # from here on in place
    if rng.random() < config.affine_probability:
        image, labels = _turn_and_zoom(image, labels, rng, config)
    if rng.random() < config.brightness_probability:
        draws = rng.uniform(-1, 1, (2, len(image) if config.brightness_by_variable else 1, 1, 1))
        image *= (1 + draws[0] * config.max_gain).astype("float32")
        image += (draws[1] * config.max_shift).astype("float32")
    if rng.random() < config.noise_probability:
        deviation = np.float32(rng.uniform(0, config.max_noise))
        noise = rng.standard_normal(image.shape, dtype="float32")
        noise *= deviation
        image += noise
    if len(image) > 1 and rng.random() < config.band_dropout_probability:
        image[rng.integers(len(image))] = np.nan
    return image, labels


def _symmetry(
    image: NDArray[np.float32], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    if labels.shape[0] != labels.shape[1]:
        turns = turns // 2 * 2
    if mirrored:
        image, labels = image[..., ::-1], labels[..., ::-1]
    return np.rot90(image, turns, axes=(1, 2)), np.rot90(labels, turns)


def _turn_and_zoom(
    image: NDArray[np.float32], labels: NDArray[np.uint8], rng: np.random.Generator, config: AugmentationConfig
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    angle = math.radians(rng.uniform(-1, 1) * config.max_turn_deg)
    zoom = config.max_zoom ** rng.uniform(-1, 1)
    height, width = labels.shape
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    # the grid's coordinates run from -1 to 1 along both edges, whatever their lengths
    matrix = torch.tensor([[[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]])
    grid = affine_grid(matrix, [1, 1, height, width], align_corners=False)
    moved = grid_sample(torch.from_numpy(image)[None], grid, padding_mode="border", align_corners=False)
    outside = (grid.abs() > 1).any(dim=-1)[0].numpy()
    flat = torch.from_numpy(labels).float()[None, None]
    moved_labels = grid_sample(flat, grid, mode="nearest", padding_mode="border", align_corners=False)
    turned: NDArray[np.float32] = moved[0].numpy()
    turned[:, outside] = np.nan
    turned_labels: NDArray[np.uint8] = moved_labels[0, 0].numpy().round().astype("uint8")
    turned_labels[outside] = IGNORE_LABEL
    return turned, turned_labels
