"""Optuna's study of a search: one for each search, also in a database that many searches share."""

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import RDBStorage

from darts_segmentation.training.studies import differing_keys
from darts_utils.errors import ConfigError

_IN_FOLDER = "darts"
"""Name of the study in a folder's own database."""

_RECORD = "darts_search"
"""Attribute of the study: what is searched for, as plain data."""

_BUSY_SECONDS = 60
_LOOKS, _PAUSE_SECONDS = 20, 0.1
"""How often, and how far apart, a study is looked at that another process has just created, until it says what it is."""


def open_study(
    folder: Path, record: Mapping[str, Any], *, storage: str | None, direction: Literal["minimize", "maximize"]
) -> optuna.Study:
    """Create the study of a search, or join it.

    Args:
        folder: Of the search; in a shared storage the study is named after its last part.
        record: What is searched for: plain data.
        storage: Address of Optuna's storage, as SQLAlchemy reads it; None: ``study.db`` in `folder`, which is locked and known
            to be of this search.
        direction: ``"maximize"`` or ``"minimize"``.

    Raises:
        ConfigError: The storage holds a study of that name that searches for something else, or does not say what for.

    Notes:
        Only the process that creates a study says what it is, so that of two searches with one name that start at once, one is
        refused.
    """
    wanted = json.loads(json.dumps(record))
    name = _IN_FOLDER if storage is None else folder.resolve().name
    address = f"sqlite:///{(folder / 'study.db').resolve()}" if storage is None else storage
    options: Any = {"connect_args": {"timeout": _BUSY_SECONDS}} if storage is None else None
    place = RDBStorage(address, engine_kwargs=options)
    pruner = optuna.pruners.MedianPruner()
    try:
        study = optuna.create_study(study_name=name, storage=place, direction=direction, pruner=pruner)
        study.set_user_attr(_RECORD, wanted)
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=place, pruner=pruner)
        if storage is not None:
            _check(study, wanted)
    return study


def _check(study: optuna.Study, wanted: Mapping[str, Any]) -> None:
    advice = "name the folder of this search (--out) otherwise, or choose another storage"
    found = _record_of(study)
    if found is None:
        raise ConfigError(
            f"expected the study {study.study_name!r} in the storage to say what it searches for, but it does not: if its first "
            f"process was killed, remove it with 'optuna delete-study --study-name {shlex.quote(study.study_name)} --storage …', else "
            f"{advice}"
        )
    differing = differing_keys(found, wanted)
    if differing:
        raise ConfigError(
            f"expected the study {study.study_name!r} in the storage to be of this search, but another {', '.join(differing)} was "
            f"asked for there: {advice}, or ask for the same"
        )


def _record_of(study: optuna.Study) -> Mapping[str, Any] | None:
    for look in range(_LOOKS):
        found = study.user_attrs.get(_RECORD)
        if isinstance(found, Mapping):
            return found
        if look + 1 < _LOOKS:
            time.sleep(_PAUSE_SECONDS)
    return None
