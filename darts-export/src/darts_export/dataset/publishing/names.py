"""Names of the files of a published data set."""

from darts_export.dataset.config import CRS
from darts_export.dataset.publishing.geographic import GEOGRAPHIC_CRS
from darts_export.dataset_folders import COLLECTION_FILE

CRSS = (CRS, GEOGRAPHIC_CRS)
"""The CRSs of the results; the second is made of the first."""

README, LICENCE, CITATION = "README.md", "LICENSE", "CITATION.cff"
DICTIONARIES = ("data_dictionary.md", "data_dictionary.csv", "data_dictionary.json")
TILES = "tiles.csv"
COLLECTION = COLLECTION_FILE
CHECKSUMS = "SHA256SUMS"

_SHARED_GEOPACKAGES = {"level3_years": "level3", "level3_events": "level3"}


def parquet_name(table: str, crs: str) -> str:
    """Name of the GeoParquet file of a table.

    Examples:
        >>> parquet_name("level3_years", "EPSG:4326")
        'epsg4326/level3_years.parquet'
    """
    return f"{_folder(crs)}/{table}.parquet"


def geopackage_name(table: str, crs: str) -> str:
    """Name of the GeoPackage that has a table as a layer; the tables of Level 3 share one.

    Examples:
        >>> geopackage_name("level3_years", "EPSG:4326")
        'epsg4326/level3.gpkg'
    """
    return f"{_folder(crs)}/{_SHARED_GEOPACKAGES.get(table, table)}.gpkg"


def item_name(table: str) -> str:
    """Name of the STAC item of a table."""
    return f"items/{table}.json"


def _folder(crs: str) -> str:
    return crs.replace(":", "").lower()
