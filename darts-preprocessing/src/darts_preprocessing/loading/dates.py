"""Dates of scenes as the names of their folders tell them."""

import re

from darts_utils.dates import UNKNOWN_DATE, parse_date


def date_of_name(name: str, *patterns: re.Pattern[str]) -> str:
    """Read the date of a scene off its name.

    Args:
        name: Name of a folder.
        *patterns: What the whole name may look like, with the groups ``year``, ``month`` and ``day``.

    Returns:
        The date as ``YYYY-MM-DD``; ``"unknown"`` where no pattern fits, or what fits is no day of the calendar.
    """
    for pattern in patterns:
        match = pattern.fullmatch(name)
        if match is not None:
            try:
                return parse_date(f"{match['year']}-{match['month']}-{match['day']}").isoformat()
            except ValueError:
                return UNKNOWN_DATE
    return UNKNOWN_DATE
