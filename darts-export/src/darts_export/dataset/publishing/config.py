"""The one home of what a published data set says about itself."""

import re
from dataclasses import dataclass
from pathlib import Path

from darts_export.text import is_storable
from darts_utils.dates import parse_date
from darts_utils.errors import ConfigError

_ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]")
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Author:
    """Who made the data set: a person by family and given names, anybody else by name.

    Raises:
        ConfigError: There is no name, or there are two, or the ORCID is none.
    """

    name: str | None = None
    """Name of a group or an institution."""
    family_names: str | None = None
    """Family names of a person."""
    given_names: str | None = None
    """Given names of a person."""
    orcid: str | None = None
    """ORCID of a person, like 0000-0002-1825-0097."""
    affiliation: str | None = None
    """Where a person works."""

    def __post_init__(self) -> None:
        is_person = self.family_names is not None
        if is_person == (self.name is not None) or (self.given_names is not None and not is_person):
            raise ConfigError(
                f"expected an author with family_names (and given_names), or with a name, but got {self.label!r}: give one"
            )
        _check_texts(self, "author")
        if self.orcid is not None and not _ORCID.fullmatch(self.orcid):
            raise ConfigError(f"expected an orcid like 0000-0002-1825-0097, but got {self.orcid!r}: correct it")

    @property
    def label(self) -> str:
        """The author in one line."""
        return " ".join(each for each in (self.given_names, self.family_names, self.name) if each is not None)


@dataclass(frozen=True)
class Publication:
    """What a published data set says about itself.

    Raises:
        ConfigError: A value makes no sense.
    """

    identifier: str = "darts"
    """Id of the STAC collection: letters, digits, dots, dashes, underscores."""
    title: str = "DARTS: retrogressive thaw slumps of the Arctic"
    """Title of the data set."""
    description: str = (
        "Retrogressive thaw slumps, found by neural networks in satellite images: objects per image, per year, and followed "
        "over the years."
    )
    """What it is, in one or two sentences."""
    version: str = "1.0.0"
    """Version of the data set."""
    authors: tuple[Author, ...] = ()
    """Who made it."""
    licence: str = "CC-BY-4.0"
    """SPDX identifier of its licence."""
    licence_file: Path | None = None
    """Text of the licence; needed where it is not one whose text comes with DARTS."""
    doi: str | None = None
    """DOI of the data set, without resolver: 10.…/…."""
    released: str | None = None
    """Day of publication, YYYY-MM-DD."""
    url: str | None = None
    """Where the data set is found."""
    keywords: tuple[str, ...] = ("retrogressive thaw slumps", "permafrost", "Arctic", "remote sensing")
    """Keywords of the collection and of the citation."""

    def __post_init__(self) -> None:
        _check_texts(self, "publication")
        if not _IDENTIFIER.fullmatch(self.identifier):
            raise ConfigError(
                f"expected publication.identifier of letters, digits, dots, dashes and underscores, but got {self.identifier!r}"
            )
        for name in ("title", "description", "version", "licence"):
            if not getattr(self, name).strip():
                raise ConfigError(f"expected publication.{name} to say something, but got {getattr(self, name)!r}")
        if self.doi is not None and not _DOI.fullmatch(self.doi):
            raise ConfigError(
                f"expected publication.doi like 10.5281/zenodo.123, but got {self.doi!r}: leave out the resolver"
            )
        if self.released is not None:
            try:
                parse_date(self.released)
            except ValueError as error:
                raise ConfigError(f"publication.released: {error}") from error


def _check_texts(of: object, what: str) -> None:
    for name, value in vars(of).items():
        for each in value if isinstance(value, tuple) else (value,):
            if (
                each is not None
                and not isinstance(each, (Author, Path))
                and not (isinstance(each, str) and is_storable(each))
            ):
                raise ConfigError(
                    f"expected {what}.{name} to be text that files can hold, but got {each!r}: correct it"
                )
