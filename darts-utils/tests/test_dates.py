import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_utils.dates import parse_date


@given(day=st.dates())
def test_every_date_is_read_as_it_is_written(day):
    assert parse_date(day.isoformat()) == day
    assert type(parse_date(day.isoformat())) is dt.date


@pytest.mark.parametrize(
    "text", ["20210821", "2021-W34-6", "2021-8-1", "2021-02-30", "2021-08-21T00:00", "", "unknown"]
)
def test_everything_else_is_refused(text):
    with pytest.raises(ValueError, match=f"expected a date like 2021-08-21, but got '{text}'"):
        parse_date(text)
