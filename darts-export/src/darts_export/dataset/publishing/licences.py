"""Texts of licences."""

from importlib.resources import files

from darts_export.dataset.publishing.config import Publication
from darts_utils.errors import ConfigError

_FOLDER = files("darts_export.dataset.publishing") / "licences"


def known_licences() -> list[str]:
    """SPDX identifiers of the licences whose texts come with DARTS.

    Examples:
        >>> known_licences()
        ['CC-BY-4.0', 'CC0-1.0']
    """
    return sorted(path.name.removesuffix(".txt") for path in _FOLDER.iterdir() if path.name.endswith(".txt"))


def licence_text(publication: Publication) -> str:
    """Return the text of a data set's licence.

    Raises:
        ConfigError: Nobody has it, or its file cannot be read.
    """
    if publication.licence_file is not None:
        try:
            return publication.licence_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"expected the text of the licence at '{publication.licence_file}', but it cannot be read ({error}): correct "
                "publication.licence_file"
            ) from error
    if publication.licence not in known_licences():
        raise ConfigError(
            f"expected publication.licence to be one of {', '.join(known_licences())}, but got {publication.licence!r}: name the "
            "file of its text in publication.licence_file"
        )
    return (_FOLDER / f"{publication.licence}.txt").read_text(encoding="utf-8")
