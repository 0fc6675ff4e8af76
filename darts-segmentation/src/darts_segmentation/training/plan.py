"""What a training will do, decided before it starts: network, inputs, scaling, sides; all that can be refused is refused here."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from darts_segmentation.networks import build_network
from darts_segmentation.segmenter import FRAMEWORK
from darts_segmentation.training.config import DEFAULT_NETWORK, TrainingConfig
from darts_segmentation.training.monitoring import check_monitor
from darts_segmentation.training.plan_checks import check_directions, check_sizes
from darts_segmentation.training.traits import check_traits, known_traits
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.quantiles import middle_of, training_quantiles
from darts_train_utils.splits import Split, check_split, split_patches
from darts_utils.errors import CheckpointError, ConfigError, TrainingDataError
from darts_utils.inference.checkpoint import Checkpoint
from darts_utils.inference.normalization import Normalization, Scaling, parse_normalization
from darts_utils.inference.weights import load_weights

_SIDES = b"-tve"
"""Letters of a split, one for each patch: left out, training, validation, test."""


@dataclass(frozen=True)
class TrainingPlan:
    """A training in which nothing is open any more."""

    config: TrainingConfig
    """As the user gave it."""
    network: Mapping[str, Any]
    """All arguments of `build_network`."""
    normalization: Normalization
    """Channels in order, and their scalings."""
    patch_px: int
    """Edge length of patches at inference."""
    split: Split
    """Which rows train, validate, test."""
    quantiles: Mapping[str, Any]
    """Of every input in the training patches, see `darts_utils.inference.drift`."""
    traits: Mapping[str, str | float]
    """How elevation and trends were made, see `darts_segmentation.training.traits`."""

    @property
    def has_validation(self) -> bool:
        """Whether there are patches that decide which epoch is best."""
        return len(self.split.validation) > 0


def make_plan(
    store: PatchStore, *, config: TrainingConfig, start: Checkpoint | None = None, split: Split | None = None
) -> TrainingPlan:
    """Decide what the config leaves open, and refuse what cannot work.

    Args:
        store: The patches.
        config: The wishes.
        start: The model whose weights training begins with.
        split: Rows by side; None: as the config says.

    Raises:
        ConfigError: The network cannot be built, not work on such patches, or begin with pretrained weights; samples would be
            turned that have a direction; no score of the name that is to be watched is logged; or inputs, scaling or network are not those of `start`.
        TrainingDataError: An input is missing or was made in another way than that of `start`; or nothing can be learnt from
            the patches: no label is known, or all are of one class, or an input says nothing.

    Warns:
        DartsWarning: It is not certain that the inputs were made as those of `start`, see `check_traits`.
    """
    _check_start(config, start)
    inputs = config.inputs or (start.input_combination if start is not None else store.variables)
    absent = [name for name in inputs if name not in store.variables]
    if absent:
        raise TrainingDataError(
            f"expected patches with {', '.join(absent)}, but the data have {', '.join(store.variables)}: change inputs, or "
            "prepare the data anew"
        )
    check_directions(config, inputs)
    edge_px = stored_patch_px(store)
    sides = _checked_split(store, config, split)
    if len(sides.validation):
        check_monitor(config)
    quantiles = training_quantiles(store, rows=sides.training, variables=inputs)
    network = _network(config, start, channels=len(inputs))
    plan = TrainingPlan(
        config=config,
        network=network,
        normalization=_normalization(config, start, inputs, quantiles),
        patch_px=config.patch_px if config.patch_px is not None else edge_px,
        split=sides,
        quantiles=quantiles,
        traits=_traits(store, start, inputs),
    )
    sizes = {"patch_px": plan.patch_px, "stored patches": edge_px, "crop_px": config.augmentation.crop_px}
    check_sizes(
        first_network(plan, start),
        {what: edge for what, edge in sizes.items() if edge is not None},
        channels=len(inputs),
    )
    return plan


def first_network(plan: TrainingPlan, start: Checkpoint | None) -> torch.nn.Module:
    """Build the network as it is before the first step: weights of `start`, or drawn by the seed.

    Args:
        plan: What to build.
        start: Where its weights come from, if not drawn.

    Raises:
        ConfigError: The network cannot be built, or the weights of `start` do not fit it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.config.seed)
        try:
            network = build_network(plan.network)
            if start is not None:
                load_weights(network, start.statedict)
        except CheckpointError as error:
            raise ConfigError(f"[network] of the configuration cannot be used: {error}") from error
    return network


def stored_patch_px(store: PatchStore) -> int:
    """Return the edge length of the patches of a store.

    Args:
        store: The patches.

    Raises:
        TrainingDataError: They are not square.
    """
    height, width = store.read(0)[1].shape
    if height != width:
        raise TrainingDataError(f"expected square patches, but got {height} × {width} px: prepare them anew")
    return int(height)


def encode_split(split: Split, count: int) -> str:
    """Write the sides of all patches as one short text.

    Args:
        split: The split.
        count: Number of all patches.

    Examples:
        >>> split = Split(np.array([0, 1]), np.array([2]), np.array([4]), np.array([3]))
        >>> decode_split(encode_split(split, 5)).test
        array([4])
    """
    letters = np.full(count, _SIDES[0], "uint8")
    for letter, rows in zip(_SIDES[1:], (split.training, split.validation, split.test), strict=True):
        letters[rows] = letter
    return base64.b64encode(zlib.compress(letters.tobytes(), 9)).decode("ascii")


def decode_split(text: str) -> Split:
    """Read what `encode_split` wrote.

    Args:
        text: The text.
    """
    letters = np.frombuffer(zlib.decompress(base64.b64decode(text)), "uint8")
    left_out, training, validation, test = (np.flatnonzero(letters == letter).astype("int64") for letter in _SIDES)
    return Split(training, validation, test, left_out)


def check_classes(store: PatchStore, rows: NDArray[np.int64], *, side: str) -> None:
    """Raise if patches do not show both background and class.

    Args:
        store: The patches.
        rows: Which.
        side: What they are for, for the message.

    Raises:
        TrainingDataError: Says what is missing.
    """
    known = store.table["known_share"].to_numpy()[rows]
    positive = store.table["positive_share"].to_numpy()[rows]
    if not (known > 0).any():
        found = "no pixel has a label other than 2 (ignored)"
    elif not ((positive > 0) & (known > 0)).any():
        found = "all known pixels are background (0)"
    elif not ((positive < 1) & (known > 0)).any():
        found = "all known pixels are of the class (1)"
    else:
        return
    raise TrainingDataError(
        f"expected labels of both classes among the {len(rows)} {side} patches, but {found}: look at the labels, or split "
        "in another way"
    )


def _checked_split(store: PatchStore, config: TrainingConfig, split: Split | None) -> Split:
    if split is None:
        split = split_patches(store.patches, config=config.split)
    else:
        check_split(store.patches, (split.training, split.validation, split.test))
    if len(split.training) == 0:
        raise TrainingDataError("expected training patches, but the split has none: lower the other shares")
    check_classes(store, split.training, side="training")
    if len(split.validation):
        check_classes(store, split.validation, side="validation")
    return split


def _check_start(config: TrainingConfig, start: Checkpoint | None) -> None:
    if start is None:
        return
    if start.framework != FRAMEWORK:
        raise ConfigError(
            f"expected a start checkpoint of the framework {FRAMEWORK!r}, but got {start.framework!r}: choose another model"
        )
    if config.inputs and config.inputs != start.input_combination:
        raise ConfigError(
            f"expected the inputs of the start checkpoint, {', '.join(start.input_combination)}, in this order, but the "
            f"configuration has {', '.join(config.inputs)}: its weights are of use for its own inputs only; leave inputs out"
        )
    own = parse_normalization(start.config, variables=start.input_combination).scalings
    changed = [name for name, scaling in config.normalization.items() if own.get(name) != scaling]
    if changed:
        raise ConfigError(
            f"expected the normalization of the start checkpoint, but the configuration has another one of {', '.join(changed)}: "
            "leave normalization out"
        )


def _traits(store: PatchStore, start: Checkpoint | None, inputs: tuple[str, ...]) -> dict[str, str | float]:
    """What the patches say; where they are silent, what the model says whose weights go on learning."""
    if start is None:
        return known_traits(store.traits, inputs=inputs)
    check_traits(store.traits, config=start.config, consumer="the start checkpoint")
    return {**known_traits(start.config, inputs=inputs), **known_traits(store.traits, inputs=inputs)}


def _network(config: TrainingConfig, start: Checkpoint | None, *, channels: int) -> dict[str, Any]:
    pretrained = config.network.get("encoder_weights")
    if pretrained is not None:
        raise ConfigError(
            f"expected [network] without encoder_weights, but got {pretrained!r}: nothing is downloaded; leave it out, or start from "
            "a model file with --start"
        )
    network = dict(config.network) or (dict(start.config["model"]) if start is not None else dict(DEFAULT_NETWORK))
    network.pop("encoder_weights", None)  # it says what the training of the start began with, which this one does not
    stated = network.get("in_channels", channels)
    if stated != channels:
        raise ConfigError(
            f"expected in_channels to be {channels}, one for each input, but [network] has {stated!r}: leave it out"
        )
    return {**network, "in_channels": channels, "classes": 1}


def _normalization(
    config: TrainingConfig, start: Checkpoint | None, inputs: tuple[str, ...], quantiles: Mapping[str, Any]
) -> Normalization:
    if start is not None:
        return parse_normalization(start.config, variables=inputs)
    scalings = {}
    for name in inputs:
        if name in config.normalization:
            scalings[name] = config.normalization[name]
            continue
        low, high = middle_of(quantiles, name)
        if not high > low:
            raise TrainingDataError(
                f"expected values of {name!r} to differ, but they are {low:g} nearly everywhere in the training patches: leave "
                "it out of inputs, or state its normalization"
            )
        scalings[name] = Scaling(offset=low, scale=1 / (high - low))
    return Normalization(scalings)
