"""The registry: every table of the data set and every column of these."""

from collections.abc import Mapping

from darts_export.dataset.publishing.columns import Column, Table

_MODELS = Column(
    "models", "string", "", "Names of the models and the first digits of their hashes; never mixed in a row."
)
_OBJECT = Column("object_id", "int64", "", "Number of the row, 1, 2, …, within this edition of the data set.")
_YEAR = Column("year", "int64", "a", "Calendar year of the images.")
_AREA = Column("area_m2", "float64", "m2", "Area on the ellipsoid, holes subtracted.")
_PERIMETER = Column("perimeter_m", "float64", "m", "Length of all outlines on the ellipsoid, holes included.")
_SEEN = Column("n_seen", "int64", "", "Images that see a part of it.")
_OBSERVATIONS = Column(
    "n_observations",
    "int64",
    "",
    "Images that see it, or would have: a tile of theirs holds all of it, off clouds and edges.",
)
_AGREEMENT = Column("agreement", "float64", "1", "Images that see it / images that observe it, 0 … 1.")
_PROBABILITY = Column(
    "probability", "float64", "1", "Median, over the images that see it, of its probability in the image, 0 … 1."
)
_FIRST_DATE = Column("first_date", "string", "", "Day of the first image that sees it, YYYY-MM-DD.")
_LAST_DATE = Column("last_date", "string", "", "Day of the last image that sees it, YYYY-MM-DD.")
_SLUMP = Column("slump_id", "string", "", "Name of the slump; it stays the same when the data set is built anew.")

_LEVEL1 = Table(
    name="level1",
    title="Level 1: objects per image",
    description="One row per object and image; what overlapping tiles saw twice is resolved, what tile edges cut is joined.",
    columns=(
        _OBJECT,
        Column("date", "string", "", "Day of the image, YYYY-MM-DD."),
        Column("sensor", "string", "", "Sensor of the image."),
        _MODELS,
        Column("tile_ids", "string", "", "Tiles whose outlines it has, separated by a blank."),
        Column("n_parts", "int64", "", "Number of outlines that it was joined from."),
        Column("n_duplicates", "int64", "", "Number of outlines of other tiles that it replaces."),
        Column(
            "rule",
            "string",
            "",
            "single: nothing to resolve; largest whole: no tile edge cuts it, and it replaces outlines of other tiles; joined: "
            "outlines of several tiles, united.",
        ),
        Column("touches_edge", "bool", "", "True where it may go on where no tile of the image looked."),
        Column("probability_min", "float64", "1", "Lowest probability of its pixels, 0 … 1.", may_lack=True),
        Column("probability_max", "float64", "1", "Highest probability of its pixels, 0 … 1.", may_lack=True),
        Column("probability_mean", "float64", "1", "Mean probability of its pixels, 0 … 1.", may_lack=True),
        Column(
            "probability_median", "float64", "1", "Median probability of its pixels, 0 … 1; mean over parts by area."
        ),
        Column(
            "probability_std", "float64", "1", "Standard deviation of the probabilities of its pixels.", may_lack=True
        ),
        _AREA,
        _PERIMETER,
        Column("geometry", "geometry", "", "Outline in the image."),
    ),
    key=("object_id",),
    group=("sensor", "date", "models"),
    dates=("date", "date"),
)

_LEVEL2 = Table(
    name="level2",
    title="Level 2: objects per year",
    description="One row per object and year: the objects of all images of the year, merged where they overlap or touch.",
    columns=(
        _OBJECT,
        _YEAR,
        _MODELS,
        _SEEN,
        _OBSERVATIONS,
        _AGREEMENT,
        _PROBABILITY,
        _FIRST_DATE,
        _LAST_DATE,
        _AREA,
        _PERIMETER,
        Column("median_area_m2", "float64", "m2", "Area of the median footprint on the ellipsoid."),
        Column(
            "median_footprint",
            "geometry",
            "",
            "Where the median probability of the images that observe a place is at least one half; may be empty.",
        ),
        Column("geometry", "geometry", "", "Union of its outlines of the year."),
    ),
    key=("object_id",),
    group=("year", "models"),
    dates=("first_date", "last_date"),
)

_LEVEL3 = Table(
    name="level3",
    title="Level 3: slumps",
    description="One row per slump, followed over the years under one name.",
    columns=(
        _SLUMP,
        _MODELS,
        Column("first_year", "int64", "a", "First year in which it was seen."),
        Column("last_year", "int64", "a", "Last year in which it was seen."),
        Column("n_years", "int64", "", "Number of years in which it was seen."),
        Column("n_seen", "int64", "", "Images of these years that see it."),
        Column("n_observations", "int64", "", "Images of these years that see it, or would have seen it."),
        _AGREEMENT,
        Column("probability", "float64", "1", "Median, over its years, of the probability of the year, 0 … 1."),
        Column("first_area_m2", "float64", "m2", "Area in the first year."),
        Column("last_area_m2", "float64", "m2", "Area in the last year."),
        Column("max_area_m2", "float64", "m2", "Largest area of any year."),
        Column("growth_m2_per_year", "float64", "m2/a", "Growth rate; missing where no two years can be compared."),
        Column("growth_std_m2_per_year", "float64", "m2/a", "Standard deviation of the growth rate."),
        Column("growth_low_m2_per_year", "float64", "m2/a", "Lower end of the 95 % interval of the growth rate."),
        Column("growth_high_m2_per_year", "float64", "m2/a", "Upper end of the 95 % interval of the growth rate."),
        Column("n_growth_years", "int64", "", "Number of years that the growth rate rests on."),
        Column("geometry", "geometry", "", "Footprint of the last year in which it was seen."),
    ),
    key=("slump_id",),
    group=("models",),
    dates=("first_year", "last_year"),
    has_stable_key=True,
)

_LEVEL3_YEARS = Table(
    name="level3_years",
    title="Level 3: slumps by year",
    description="One row per slump and year in which it was seen.",
    columns=(
        _SLUMP,
        _YEAR,
        _MODELS,
        Column("object_id", "int64", "", "The object of Level 2 that it is in this year."),
        _SEEN,
        _OBSERVATIONS,
        _AGREEMENT,
        _PROBABILITY,
        _FIRST_DATE,
        _LAST_DATE,
        Column("footprint", "string", "", "Which footprint of the year the geometry is: median or union."),
        Column("area_m2", "float64", "m2", "Area of the footprint on the ellipsoid."),
        Column("area_std_m2", "float64", "m2", "Standard deviation of the area."),
        Column("perimeter_m", "float64", "m", "Length of all outlines of the footprint on the ellipsoid."),
        Column("geometry", "geometry", "", "Footprint of the year."),
    ),
    key=("slump_id", "year"),
    group=("year", "models"),
    dates=("first_date", "last_date"),
    has_stable_key=True,
)

_LEVEL3_EVENTS = Table(
    name="level3_events",
    title="Level 3: splits, mergers and retired names",
    description="One row per event: a slump that splits, slumps that merge, a name of an earlier edition that is given up.",
    columns=(
        Column(
            "kind", "string", "", "split, merge, or retired: a name of an earlier edition that no slump has any more."
        ),
        Column(
            "year", "int64", "a", "First year in which two parts, or the whole, are seen; of a retired name its last."
        ),
        _MODELS,
        Column("parents", "string", "", "slump_id of the slumps before, separated by a blank."),
        Column("children", "string", "", "slump_id of the slumps after, separated by a blank."),
        Column("area_m2", "float64", "m2", "Ground that parents and children share; of a retired name its last area."),
        Column("geometry", "geometry", "", "That ground."),
    ),
    key=("kind", "year", "models", "parents", "children"),
    group=("kind", "year", "models"),
    dates=("year", "year"),
    has_stable_key=True,
)

_COVERAGE = Table(
    name="coverage",
    title="Coverage: where and how often was looked",
    description="One row per year, set of models and cell of a grid in EPSG:3413 that was looked at.",
    columns=(
        _YEAR,
        _MODELS,
        Column("column", "int64", "", "x of the lower left corner of the cell, in cells; the pole is a corner."),
        Column("row", "int64", "", "y of the lower left corner of the cell, in cells."),
        Column("n_observations", "int64", "", "Images whose trusted area overlaps the cell."),
        Column("valid_area_m2", "float64", "m2", "What at least one of them saw of the cell, on the ellipsoid."),
        Column("geometry", "geometry", "", "That area."),
    ),
    key=("year", "models", "column", "row"),
    group=("year", "models"),
    dates=("year", "year"),
    has_stable_key=True,
)

TABLES: Mapping[str, Table] = {
    table.name: table for table in (_LEVEL1, _LEVEL2, _LEVEL3, _LEVEL3_YEARS, _LEVEL3_EVENTS, _COVERAGE)
}
"""Name → table, in the order of the data set."""
