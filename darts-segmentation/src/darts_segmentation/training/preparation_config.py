"""How labelled tiles become patches: every option, each with its one default."""

from dataclasses import dataclass
from typing import Literal

from darts_utils.errors import ConfigError


@dataclass(frozen=True)
class PreparationConfig:
    """What decides which patches there are and what their labels say.

    Raises:
        ConfigError: A number makes no sense, or a column is named without what goes with it.
    """

    patch_px: int = 256
    """Edge length of a patch."""
    overlap_px: int = 32
    """Overlap of neighbouring patches; below `patch_px`."""
    variables: tuple[str, ...] = ()
    """Variables to keep; empty: all of the tiles but their masks."""
    min_known_share: float = 0.1
    """Patches of which less is known, 0 … 1, are left out."""
    background_share: float = 1.0
    """Share of the patches without the class that are kept, 0 … 1; drawn for each scene by `seed`."""
    seed: int = 0
    """Of that draw."""
    uncertain_column: str | None = None
    """Column of the labels that says whether a polygon is certain; its pixels are labelled 2 where it is not."""
    uncertain_values: tuple[str, ...] = ("1", "true", "yes", "uncertain")
    """What that column holds, as text in lower case, where a polygon is uncertain."""
    scene_column: str | None = None
    """Column with the scene of a polygon: its tile id, or that and more after an ``_``."""
    date_column: str | None = None
    """Column with the date of the image that a polygon was drawn on, ``YYYY-MM-DD`` or a date."""
    date_tolerance_days: int = 0
    """How many days a polygon's date may be away from that of the scene."""
    region_column: str | None = None
    """Column with the region, of the labels, or of the polygons of regions where these are given."""
    mismatched: Literal["raise", "ignore"] = "raise"
    """Polygons in scenes of which none has their scene or date: an error, or their pixels are labelled 2."""
    outside: Literal["raise", "ignore"] = "raise"
    """Polygons outside all scenes: an error, or counted."""
    unlabelled: Literal["raise", "background", "skip"] = "raise"
    """Scenes in which there is no polygon: an error, all background, or left out."""
    processes: int = 1
    """How many scenes are made at a time; decides nothing about the result."""

    def __post_init__(self) -> None:
        _check(self.patch_px >= 1, "patch_px to be at least 1", self.patch_px)
        _check(0 <= self.overlap_px < self.patch_px, f"overlap_px to be 0 … {self.patch_px - 1}", self.overlap_px)
        for name in ("min_known_share", "background_share"):
            _check(0 <= getattr(self, name) <= 1, f"{name} to be 0 … 1", getattr(self, name))
        for name in ("seed", "date_tolerance_days"):
            _check(getattr(self, name) >= 0, f"{name} to be at least 0", getattr(self, name))
        _check(self.processes >= 1, "processes to be at least 1", self.processes)
        choices = {"mismatched": ("raise", "ignore"), "outside": ("raise", "ignore")}
        for name, known in {**choices, "unlabelled": ("raise", "background", "skip")}.items():
            _check(getattr(self, name) in known, f"{name} to be one of {', '.join(known)}", getattr(self, name))


def _check(holds: bool, wanted: str, value: object) -> None:  # noqa: FBT001 - what is checked
    if not holds:
        raise ConfigError(f"expected {wanted}, but got {value!r}: correct it")
