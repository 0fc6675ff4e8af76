"""A search for a better configuration, with Optuna; any number of processes may share it, and any may be killed."""

import contextlib
import gc
import math
import os
import shutil
import socket
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import optuna
import tomli_w
import torch
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from darts_segmentation.training.config import TrainingConfig
from darts_segmentation.training.finishing import best_epoch
from darts_segmentation.training.fitting import fit
from darts_segmentation.training.leakage import check_start_unseen
from darts_segmentation.training.monitoring import check_monitor
from darts_segmentation.training.run_folder import CHECKPOINTS
from darts_segmentation.training.scores import write_csv
from darts_segmentation.training.search_space import Range, SearchSpace, changed_config, space_table
from darts_segmentation.training.shared_study import open_study
from darts_segmentation.training.studies import hash_of_model, one_at_a_time, open_study_folder
from darts_segmentation.training.training import plan_run
from darts_train_utils.patch_store import PatchStore
from darts_train_utils.provenance import data_fingerprint
from darts_train_utils.splits import split_patches
from darts_utils.config_tables import plain_table
from darts_utils.errors import ConfigError, TrainingError
from darts_utils.files import atomic_path
from darts_utils.inference.checkpoint import Checkpoint, read_checkpoint
from darts_utils.logging import get_logger

_log = get_logger("training")

_OWNER, _FAILURE = "owner", "failure"
_FAULTS = (TrainingError, ConfigError, torch.OutOfMemoryError)
"""What may be wrong with one trial and right with the next."""
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


@dataclass(frozen=True)
class TuningResult:
    """What a search has found."""

    config: TrainingConfig
    """The best configuration."""
    score: float
    """What is watched, on the validation patches, at its best epoch."""
    trials: int
    """Trials that came to their end, those that were given up early included."""
    config_file: Path
    """The best configuration as TOML, for a training."""


def tune(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    config: TrainingConfig,
    space: SearchSpace,
    trials: int,
    start: str | os.PathLike[str] | None = None,
    legacy_normalization: str | None = None,
    storage: str | None = None,
) -> TuningResult:
    """Search for the configuration with the best score on the validation patches; the test patches are not looked at.

    Args:
        data: Folder of the patches.
        out: Gets ``study.db``, a folder ``trial-0`` and so on, ``best.toml`` and ``trials.csv``. If it holds this search
            already, it goes on; several processes may do so at once.
        config: What is not tuned. Its seed is also the search's.
        space: What is tuned.
        trials: Number of trials of all processes together.
        start: Model that every trial begins with.
        legacy_normalization: How the inputs of an older `start` were scaled.
        storage: Address of Optuna's storage, as SQLAlchemy reads it, for a search on several machines; None: SQLite in `out`.
            The last part of `out` is the name of the study there, so it is the same on all machines.

    Returns:
        The best configuration so far.

    Raises:
        ConfigError: Something does not fit, see `darts_segmentation.training.train`; or `out`, or the study of its name in
            `storage`, is of another search.
        TrainingDataError: Nothing can be learnt, there are no validation patches, or those that validate or test have made `start`.
        TrainingError: No trial came to its end with a number.

    Notes:
        TPE proposes, seeded by ``config.seed`` and the number of the trial; trials whose score is below the median of the others
        at the same epoch are given up. A trial whose loss is no number any more, whose sizes do not go together or need more memory
        than the GPU has, has failed and counts; the search goes on. One whose process was killed does not count: another takes its
        place.
    """
    folder = Path(out)
    if config.split.validation_share == 0:
        raise ConfigError("expected validation patches to tune with, but split.validation_share is 0: raise it")
    if trials < 1:
        raise ConfigError(f"expected at least 1 trial, but got {trials}")
    if config.devices > 1:
        raise ConfigError(
            f"expected devices to be 1 in a search, but got {config.devices}: start it once for each device "
            "(CUDA_VISIBLE_DEVICES=0 darts train tune …, then 1, and so on), the processes share the trials"
        )
    check_monitor(config)
    fingerprint = data_fingerprint(data)
    model = None if start is None else read_checkpoint(start, legacy_normalization=legacy_normalization)
    record = {
        "kind": "tuning",
        "fingerprint": fingerprint,
        "config": plain_table(config),
        "space": space_table(space),
        "starts_from": None if model is None else hash_of_model(model),
    }
    store = PatchStore(data)
    check_start_unseen(split_patches(store.patches, config=config.split), start=model, fingerprint=fingerprint)
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet_optuna():
        with one_at_a_time(folder):
            open_study_folder(folder, record)
            study = open_study(
                folder,
                record,
                storage=storage,
                direction="maximize" if config.monitor.mode == "max" else "minimize",
            )
        while (trial := _next_trial(study, folder, config, trials)) is not None:
            _run_trial(
                study,
                trial,
                store,
                Path(data),
                folder,
                config=config,
                space=space,
                start=model,
                fingerprint=fingerprint,
            )
        return _result(study, folder, config)


class _Pruning(pl.Callback):
    """Reports the watched score after each epoch and stops a trial that is not worth going on with."""

    def __init__(self, trial: optuna.Trial, monitor: str) -> None:
        self._trial, self._monitor, self.pruned = trial, monitor, False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = trainer.callback_metrics.get(self._monitor)
        if score is None or not math.isfinite(float(score)):
            return
        self._trial.report(float(score), trainer.current_epoch)
        if self._trial.should_prune():
            self.pruned = trainer.should_stop = True


def _next_trial(study: optuna.Study, folder: Path, config: TrainingConfig, trials: int) -> optuna.Trial | None:
    """Take the next trial, one process after the other; None where there are enough."""
    with one_at_a_time(folder):
        found = study.get_trials(deepcopy=False)
        for each in found:
            if each.state == TrialState.RUNNING and _is_of_the_dead(each):
                study.tell(each.number, state=TrialState.FAIL)
        counted = [
            each
            for each in study.get_trials(deepcopy=False)
            if each.state in _COUNTED or _FAILURE in each.user_attrs  # not those whose process was killed
        ]
        if len(counted) >= trials:
            return None
        study.sampler = TPESampler(seed=config.seed + len(found), constant_liar=True)
        trial = study.ask()
        trial.set_user_attr(_OWNER, [socket.gethostname(), os.getpid()])
        return trial


def _run_trial(
    study: optuna.Study,
    trial: optuna.Trial,
    store: PatchStore,
    data: Path,
    folder: Path,
    *,
    config: TrainingConfig,
    space: SearchSpace,
    start: Checkpoint | None,
    fingerprint: str,
) -> None:
    values = {key: _suggested(trial, key, entry) for key, entry in space.items()}
    place = folder / f"trial-{trial.number}"
    shutil.rmtree(place, ignore_errors=True)
    pruning = _Pruning(trial, config.monitor.monitor)
    failure = None
    try:
        changed = changed_config(config, values)
        run = plan_run(store, data, place, config=changed, start=start, fingerprint=fingerprint)
        fit(run, store, extra_callbacks=[pruning])
    except _FAULTS as error:
        failure = " ".join(str(error).split())
    if failure is not None:
        # only here, when the error with its traceback is gone, can the memory that it held be given back
        gc.collect()
        torch.cuda.empty_cache()
        _log.warning("trial %d of %s failed: %s", trial.number, values, failure)
        trial.set_user_attr(_FAILURE, failure)
        study.tell(trial, state=TrialState.FAIL)
        return
    score = best_epoch(run).score
    shutil.rmtree(place / CHECKPOINTS, ignore_errors=True)  # the best configuration is what is looked for
    if pruning.pruned:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, score)
    _log.info("trial %d of %s: %s %.4f", trial.number, values, config.monitor.monitor, score)


def _suggested(trial: optuna.Trial, key: str, entry: Any) -> Any:
    if not isinstance(entry, Range):
        return trial.suggest_categorical(key, entry.choices)
    if entry.is_whole:
        return trial.suggest_int(key, int(entry.low), int(entry.high), log=entry.log)
    return trial.suggest_float(key, float(entry.low), float(entry.high), log=entry.log)


def _result(study: optuna.Study, folder: Path, config: TrainingConfig) -> TuningResult:
    found = study.get_trials(deepcopy=False)
    ended = [each for each in found if each.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    complete = [each for each in ended if each.state == TrialState.COMPLETE and each.value is not None]
    if not complete:
        failures = [each.user_attrs[_FAILURE] for each in found if _FAILURE in each.user_attrs]
        last = f" (of the last one that failed: {failures[-1]})" if failures else ""
        raise TrainingError(
            f"expected a trial that came to its end, but of {len(found)} none did{last}: narrow the search space"
        )
    best = study.best_trial
    chosen = changed_config(config, best.params)
    target = folder / "best.toml"
    with atomic_path(target) as path:
        path.write_text(tomli_w.dumps(plain_table(chosen)), encoding="utf-8")
    keys = sorted({key for each in found for key in each.params})
    rows = [
        {"trial": each.number, "state": each.state.name.lower(), "score": each.value, **each.params} for each in found
    ]
    write_csv(folder / "trials.csv", ["trial", "state", "score", *keys], rows)
    return TuningResult(chosen, float(study.best_value), len(ended), target)


def _is_of_the_dead(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether the process of a trial was on this machine and is no more."""
    if _OWNER not in trial.user_attrs:  # it is named under the lock that is held now, so nobody is about to
        return True
    host, process = trial.user_attrs[_OWNER]
    if host != socket.gethostname():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
