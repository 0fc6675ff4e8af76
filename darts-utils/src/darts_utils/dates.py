"""Dates of images: one way to write them, ``YYYY-MM-DD``."""

import datetime as dt
import re

UNKNOWN_DATE = "unknown"
"""What ``attrs["date"]`` holds where nothing says the date."""

_FORM = re.compile(r"\d{4}-\d\d-\d\d")


def parse_date(text: str) -> dt.date:
    """Read a date.

    Args:
        text: ``YYYY-MM-DD``, all other ISO forms (``20210821``, ``2021-W34-6``) excluded.

    Raises:
        ValueError: It is no date of this form.

    Examples:
        >>> parse_date("2021-08-21")
        datetime.date(2021, 8, 21)
    """
    try:
        if _FORM.fullmatch(text) is not None:
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"expected a date like 2021-08-21, but got {text!r}: correct it")
