"""The options that ``darts run`` and ``darts train prepare`` share: those of the scenes."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None, typer.Option(help="TOML file of options; what is given on the command line counts more.")
]
Scene = Annotated[list[Path] | None, typer.Option(metavar="PATH", help="Scene folder or GeoTIFF; repeat for more.")]
Scenes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB_OR_LIST",
        help="Quoted pattern, folder of scenes, list (.txt, .csv, .parquet), or - for standard input; repeat for more.",
    ),
]
Dem = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Elevation model: ArcticDEM raster, or folder of tiles.")
]
Tcvis = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Tasseled-cap trends: TCVIS raster, or folder of rasters.")
]
TcvisRelease = Annotated[
    str | None,
    typer.Option(metavar="YEAR", help="Release of the trends, if their files do not say it or hold several."),
]
TcvisRule = Annotated[
    str | None,
    typer.Option(
        help="How a scene's date chooses among several releases: past_only or upstream; as the models say if not given."
    ),
]
Bands = Annotated[
    str | None, typer.Option(metavar="BAND=NUMBER,...", help="Bands of GeoTIFFs: blue=1,green=2,red=3,nir=7.")
]
ReflectanceScale = Annotated[
    float | None, typer.Option(help="Reflectance of one count of a GeoTIFF, if it does not say it.")
]
ReflectanceOffset = Annotated[
    float | None, typer.Option(help="Reflectance of the count 0 of a GeoTIFF, if it does not say it.")
]
Sentinel2OffsetDn = Annotated[
    int | None,
    typer.Option(
        help="Count of reflectance 0 in historic Sentinel-2 folders and .SAFE products of baseline 99.xx, which may not say it: "
        "1000 from baseline 04.00 on, else 0."
    ),
]
Sensor = Annotated[str | None, typer.Option(help="Sensor of scenes that do not say it.")]
Date = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Date of scenes that do not say it.")]
TpiOuterRadiusM = Annotated[float | None, typer.Option(help="Radius of the relative elevation, metres.")]
TpiInnerRadiusM = Annotated[float | None, typer.Option(help="Its inner radius; 0 is a disc, above an annulus.")]
