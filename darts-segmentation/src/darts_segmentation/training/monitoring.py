"""Which scores a training logs, so that one of them can be watched; and which of them are losses."""

from darts_segmentation.training.config import TrainingConfig
from darts_train_utils.losses import loss_names
from darts_train_utils.metrics import pixel_metrics
from darts_utils.errors import ConfigError


def logged_scores(config: TrainingConfig) -> tuple[str, ...]:
    """Name the scores that `darts_segmentation.training.module` logs.

    Args:
        config: Of the training; losses of weight 0 are not logged.

    Examples:
        >>> logged_scores(TrainingConfig())[:3]
        ('train/bce', 'train/dice', 'train/loss')
    """
    train = (f"train/{name}" for name in (*loss_names(config.loss), "loss"))
    return (*train, "val/loss", *map(str, pixel_metrics(prefix="val/").keys(keep_base=False)))


def is_loss(score: str) -> bool:
    """Tell whether a score depends on the options in ``[loss]``.

    Args:
        score: Name of a score that is logged.

    Examples:
        >>> is_loss("val/loss"), is_loss("val/iou")
        (True, False)
    """
    return score == "val/loss" or score.startswith("train/")


def check_monitor(config: TrainingConfig) -> None:
    """Raise if a score is to be watched that a training does not log, or the wrong way round.

    Args:
        config: Of a training with validation patches.

    Raises:
        ConfigError: Names those that it does; or the highest loss would be taken for the best.
    """
    watched, known = config.monitor.monitor, logged_scores(config)
    if watched not in known:
        raise ConfigError(f"expected monitor to be one of {', '.join(known)}, but got {watched!r}: correct [monitor]")
    if is_loss(watched) and config.monitor.mode == "max":
        raise ConfigError(
            f"expected mode to be min where monitor is {watched!r}, since the lowest loss is the best: correct [monitor]"
        )
