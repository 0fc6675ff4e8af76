"""What stands under a picture: which tile it is, a legend and a scale bar."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_LEAST_WIDTH_PX = 320
_MARGIN_PX = 8
_LINE_PX = 20
_LETTERS_PX = 13
_LONGEST_BAR = 0.35
"""Of the width of the picture."""
_GROUND = (255, 255, 255)
_INK = (30, 30, 30)
_FRAME = (150, 150, 150)


def add_caption(
    picture: Image.Image,
    *,
    lines: Sequence[str],
    legend: Sequence[tuple[tuple[int, int, int], str]],
    metres_per_px: float | None,
) -> Image.Image:
    """Put a picture on a sheet, with a caption below.

    Args:
        picture: RGB picture.
        lines: Lines of text; one that is too long for the sheet is cut, with dots.
        legend: Colours and what they mean.
        metres_per_px: Size of a pixel of the picture on the ground; None where it is not known: there is no scale bar then.

    Returns:
        RGB picture, at least as wide as a caption that can be read; a narrower picture stands in the middle.
    """
    bar = None if metres_per_px is None else scale_bar(picture.width * _LONGEST_BAR, metres_per_px=metres_per_px)
    rows = len(lines) + len(legend) + (bar is not None)
    width = max(picture.width, _LEAST_WIDTH_PX)
    sheet = Image.new("RGB", (width, picture.height + 2 * _MARGIN_PX + rows * _LINE_PX), _GROUND)
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTERS_PX)
    top = picture.height + _MARGIN_PX
    for line in lines:
        pen.text((_MARGIN_PX, top), _fitting(line, font, width - 2 * _MARGIN_PX), fill=_INK, font=font)
        top += _LINE_PX
    for colour, meaning in legend:
        box = (_MARGIN_PX, top + 3, _MARGIN_PX + 18, top + _LINE_PX - 6)
        pen.rectangle(box, fill=colour, outline=_FRAME)
        room = width - 3 * _MARGIN_PX - 18
        pen.text((2 * _MARGIN_PX + 18, top), _fitting(meaning, font, room), fill=_INK, font=font)
        top += _LINE_PX
    if bar is not None:
        length_px, label = bar
        pen.rectangle((_MARGIN_PX, top + 6, _MARGIN_PX + round(length_px), top + 10), fill=_INK)
        pen.text((2 * _MARGIN_PX + round(length_px), top), label, fill=_INK, font=font)
    return sheet


def scale_bar(longest_px: float, *, metres_per_px: float) -> tuple[float, str] | None:
    """Choose a round length for a scale bar.

    Args:
        longest_px: What there is room for.
        metres_per_px: Size of a pixel on the ground.

    Returns:
        Length in pixels and its label; None where there is no room for two pixels.

    Examples:
        >>> scale_bar(300, metres_per_px=30)
        (166.66666666666666, '5 km')
    """
    longest_m = longest_px * metres_per_px
    if longest_px < 2 or not 0 < longest_m < math.inf:
        return None
    decade = 10.0 ** math.floor(math.log10(longest_m))
    length_m = next(decade * step for step in (5, 2, 1) if decade * step <= longest_m or step == 1)
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    return length_m / metres_per_px, label


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: int) -> str:
    if font.getlength(text) <= room_px:
        return text
    cut = text
    while cut and font.getlength(f"{cut}…") > room_px:
        cut = cut[:-1]
    return f"{cut}…"
