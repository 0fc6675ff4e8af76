"""The one home of every default of sliding-window inference; imports no torch."""

from dataclasses import dataclass
from typing import get_args

from darts_utils.errors import ConfigError
from darts_utils.patches import Ramp


@dataclass(frozen=True)
class InferenceConfig:
    """How a network is moved over a tile; the same for every framework.

    Raises:
        ConfigError: A number or the ramp makes no sense; the message names the field.

    Examples:
        >>> InferenceConfig().overlap_for(256), InferenceConfig(overlap_px=64).overlap_for(256)
        (32, 64)
    """

    patch_px: int | None = None
    """Edge length of a patch in pixels; None takes the checkpoint's ``patch_size``."""
    overlap_px: int | None = None
    """Overlap of neighbouring patches in pixels, ``0 ≤ overlap < patch``; None is an eighth of the patch, rounded down."""
    batch_size: int = 8
    """Patches per call of the network. Every batch has exactly this size, the last one is filled up."""
    padding_px: int = 0
    """Width of the mirrored border around a tile in pixels; 0 adds none."""
    ramp: Ramp = "open"
    """Blending weights in the overlap, see `darts_utils.patches.patch_weights`."""

    def __post_init__(self) -> None:
        for name, least in (("patch_px", 1), ("overlap_px", 0), ("batch_size", 1), ("padding_px", 0)):
            value = getattr(self, name)
            if name in {"patch_px", "overlap_px"} and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"expected {name} to be a whole number of at least {least}, but got {value!r}")
        if self.ramp not in get_args(Ramp):
            raise ConfigError(f"expected ramp to be one of {', '.join(get_args(Ramp))}, but got {self.ramp!r}")

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


DEFAULT_INFERENCE = InferenceConfig()
"""What ``inference`` does when no options are given."""
