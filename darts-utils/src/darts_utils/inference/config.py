"""The one home of every default of sliding-window inference; imports no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from darts_utils.errors import ConfigError
from darts_utils.patches import Ramp

Precision = Literal["float32", "bfloat16", "float16"]
"""Numbers in which a network computes; its input and its answer are float32 always."""

_BATCH_PIXELS = {"cpu": 2**18, "cuda": 2**22}
"""Pixels in one call of a network: on a CPU what its caches like, on a GPU what keeps it busy."""
_LARGEST_BATCH = {"cpu": 8, "cuda": 64}


@dataclass(frozen=True)
class InferenceConfig:
    """How a network is moved over a tile; the same for every framework.

    Raises:
        ConfigError: A number or a name makes no sense; the message names the field.

    Examples:
        >>> InferenceConfig().overlap_for(256), InferenceConfig(overlap_px=64).overlap_for(256)
        (32, 64)
        >>> InferenceConfig().batch_size_for(256, device_type="cpu")
        4
    """

    patch_px: int | None = None
    """Edge length of a patch in pixels; None takes the checkpoint's ``patch_size``."""
    overlap_px: int | None = None
    """Overlap of neighbouring patches in pixels, ``0 ≤ overlap < patch``; None is an eighth of the patch, rounded down."""
    batch_size: int | None = None
    """Patches per call of the network; None takes as many as suit the device. Every batch has this size, the last one is
    filled up."""
    padding_px: int = 0
    """Width of the mirrored border around a tile in pixels; 0 adds none."""
    ramp: Ramp = "open"
    """Blending weights in the overlap, see `darts_utils.patches.patch_weights`."""
    precision: Precision | None = None
    """Numbers in which the network computes; None is float32 on a CPU and float16 on a CUDA device. float32 is no
    TF32 on a CUDA device either. bfloat16 is twice as fast
    or more on CPUs that know it, and moves single probabilities by up to 0.02."""
    symmetries: bool = False
    """Whether each patch is also shown turned and mirrored, all eight symmetries of the square, and the mean is taken: eight
    times the work; not for models whose inputs have a direction, as aspect and hillshade do."""
    compile_network: bool = False
    """Whether the network is compiled with ``torch.compile``: takes a minute at first, pays for many tiles."""

    def __post_init__(self) -> None:
        for name, least in (("patch_px", 1), ("overlap_px", 0), ("batch_size", 1), ("padding_px", 0)):
            value = getattr(self, name)
            if name != "padding_px" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"expected {name} to be a whole number of at least {least}, but got {value!r}")
        if self.ramp not in get_args(Ramp):
            raise ConfigError(f"expected ramp to be one of {', '.join(get_args(Ramp))}, but got {self.ramp!r}")
        if self.precision is not None and self.precision not in get_args(Precision):
            raise ConfigError(
                f"expected precision to be one of {', '.join(get_args(Precision))}, but got {self.precision!r}"
            )
        for name in ("symmetries", "compile_network"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"expected {name} to be True or False, but got {getattr(self, name)!r}")

    def overlap_for(self, patch_px: int) -> int:
        """Return the overlap of neighbouring patches of a size.

        Args:
            patch_px: Edge length of a patch.

        Returns:
            `overlap_px`, or an eighth of the patch: the share of the work that overlaps cost is the same for all patches.

        Raises:
            ConfigError: `overlap_px` is not smaller than the patch.
        """
        if self.overlap_px is None:
            return patch_px // 8
        if self.overlap_px >= patch_px:
            raise ConfigError(
                f"expected an overlap of 0 to {patch_px - 1} px, less than a patch of {patch_px} px, but got overlap_px "
                f"{self.overlap_px}: lower it, or leave it out"
            )
        return self.overlap_px

    def batch_size_for(self, patch_px: int, *, device_type: str) -> int:
        """Return the number of patches per call of the network.

        Args:
            patch_px: Edge length of a patch.
            device_type: ``"cpu"`` or ``"cuda"``.

        Returns:
            `batch_size`, or as many patches as suit the device: on a CPU 1 of 512 px, on a CUDA device 16.
        """
        if self.batch_size is not None:
            return self.batch_size
        return max(1, min(_LARGEST_BATCH[device_type], _BATCH_PIXELS[device_type] // patch_px**2))


DEFAULT_INFERENCE = InferenceConfig()
"""What ``inference`` does when no options are given."""
