"""What the metadata of a Sentinel-2 L2A product say: scale and offsets, processing baseline, date, sun."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from darts_preprocessing.loading.rasters import Scaling
from darts_utils.dates import UNKNOWN_DATE, parse_date
from darts_utils.errors import SceneError

_BAND_IDS = {"B02": "1", "B03": "2", "B04": "3", "B08": "7"}
"""Numbers of the bands in the metadata, which count B01 as 0 and B8A as 8."""
_SHIFTED_SINCE = (4, 0)
"""Processing baseline from which on counts are shifted."""
_UNOFFICIAL_SINCE = (99, 0)
"""Baselines from 99.00 on mark products that are not official: they say nothing about the counts."""
_SHIFT_DN = 1000
_QUANTIFICATION = 10_000.0
_BASELINE = re.compile(r"(\d\d)\.(\d\d)")


@dataclass(frozen=True)
class ProductMetadata:
    """How the counts of a product are meant."""

    path: Path
    """Metadata file, for messages."""
    quantification: float
    """Counts that a reflectance of 1 has."""
    add_offsets: Mapping[str, float]
    """Number of a band in the metadata → what is added to its counts; empty where nothing is listed."""
    baseline: str | None
    """Processing baseline such as ``"04.00"``; ``"99.99"`` and the like mark a product that is not official."""
    date: str
    """``YYYY-MM-DD`` or ``"unknown"``."""

    def scalings(self, bands: Sequence[str], *, offset_dn: int | None) -> list[Scaling]:
        """Scale and offset from counts to reflectance.

        Args:
            bands: Such as ``"B02"``.
            offset_dn: Count of reflectance 0, 0 or 1000, where the product does not say it.

        Raises:
            SceneError: The metadata list offsets, but not of every band; or they list none, the baseline does not tell, and
                `offset_dn` is not 0 or 1000.
        """
        scale = 1.0 / self.quantification
        return [(scale, self._add_offset(band, offset_dn) / self.quantification) for band in bands]

    def _add_offset(self, band: str, offset_dn: int | None) -> float:
        if self.add_offsets:
            if _BAND_IDS[band] not in self.add_offsets:
                raise SceneError(
                    f"'{self.path}' must list BOA_ADD_OFFSET of every band, but lacks that of {band}: download it again"
                )
            return self.add_offsets[_BAND_IDS[band]]
        version = None if self.baseline is None else tuple(int(part) for part in self.baseline.split("."))
        if version is not None and version < _UNOFFICIAL_SINCE:
            return float(-_SHIFT_DN if version >= _SHIFTED_SINCE else 0)
        if offset_dn not in (0, _SHIFT_DN):
            raise SceneError(
                f"'{self.path}' must say how counts become reflectance, but neither it (BOA_ADD_OFFSET, PROCESSING_BASELINE) nor "
                f"the product's name does (baseline {self.baseline or 'unknown'}), and got offset_dn={offset_dn}: name the count "
                f"of reflectance 0, offset_dn=0 or offset_dn={_SHIFT_DN}, or download the official product"
            )
        return float(-offset_dn)


def product_metadata(path: Path, *, named_baseline: str | None) -> ProductMetadata:
    """Read ``MTD_MSIL2A.xml``.

    Args:
        path: The file; may be missing, then the product's name alone speaks.
        named_baseline: Processing baseline in the product's name.

    Raises:
        SceneError: The file is damaged, or a number in it makes no sense.
    """
    if not path.is_file():
        return ProductMetadata(path, _QUANTIFICATION, {}, named_baseline, UNKNOWN_DATE)
    root = _parsed(path)
    quantification = _number(path, root.find(".//BOA_QUANTIFICATION_VALUE"), default=_QUANTIFICATION)
    if not quantification > 0:
        raise SceneError(
            f"'{path}' must hold a BOA_QUANTIFICATION_VALUE above 0, but has {quantification:g}: download it again"
        )
    offsets = {
        str(element.get("band_id")): _number(path, element)
        for element in root.findall(".//BOA_ADD_OFFSET_VALUES_LIST/*")
    }
    said = (root.findtext(".//PROCESSING_BASELINE") or "").strip()
    return ProductMetadata(
        path,
        quantification,
        offsets,
        said if _BASELINE.fullmatch(said) else named_baseline,
        _date((root.findtext(".//PRODUCT_START_TIME") or "").strip()),
    )


def sun_angles(path: Path) -> dict[str, float]:
    """Read the mean sun of a tile from ``MTD_TL.xml``.

    Returns:
        ``sun_azimuth_deg`` and ``sun_elevation_deg``; nothing where the file is missing.

    Raises:
        SceneError: The file is damaged, or lacks the sun.
    """
    if not path.is_file():
        return {}
    root = _parsed(path)
    zenith, azimuth = (
        _number(path, root.find(f".//Mean_Sun_Angle/{name}")) for name in ("ZENITH_ANGLE", "AZIMUTH_ANGLE")
    )
    if not 0 <= zenith <= 180:
        raise SceneError(
            f"'{path}' must hold a ZENITH_ANGLE of 0 to 180 degrees, but has {zenith:g}: download it again"
        )
    return {"sun_azimuth_deg": azimuth, "sun_elevation_deg": 90.0 - zenith}


class _WithoutDoctype(ET.TreeBuilder):
    """Builds a tree of elements; stops at a document type, which could define entities that grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError(f"expected no document type, but got {name!r}")


def _parsed(path: Path) -> ET.Element:
    parser = ET.XMLParser(target=_WithoutDoctype())  # noqa: S314 - entities need a document type
    try:
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                parser.feed(chunk)
        root: Any = parser.close()
    except (ET.ParseError, ValueError) as error:
        raise SceneError(
            f"cannot read '{path}' ({error}): expected the XML of a Sentinel-2 product; download it again"
        ) from error
    return root  # type: ignore[no-any-return]


def _number(path: Path, element: ET.Element | None, *, default: float | None = None) -> float:
    if element is None and default is not None:
        return default
    text = "" if element is None else (element.text or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = "its sun angles" if element is None else f"a number in {element.tag}"
        raise SceneError(f"'{path}' must hold {what}, but has {text!r}: download it again")
    return value


def _date(start_time: str) -> str:
    try:
        return parse_date(start_time[:10]).isoformat()
    except ValueError:
        return UNKNOWN_DATE
