"""What every trainer of DARTS shares. Import from the modules: each loads only what it needs.

==============  =====================================================================================
`config`        every default
`losses`        `weighted_loss` on logits, blind to pixels labelled 2
`splits`        `split_patches`, `split_folds`: overlapping patches never on different sides, checked
`metrics`       `pixel_metrics`, `score_instances`, `boundary_iou`
`calibration`   `fit_temperature`, `reliability_curve`
`augmentation`  `augment`: by seed, epoch and index alone
`patch_store`   `write_scene`, `PatchStore`: patches in Zarr, their rows in Parquet
`data`          `PatchDataModule`: batches for Lightning, scaled as at inference
`quantiles`     `training_quantiles`: of every input, for scaling and for the guard against drift
`callbacks`     `training_callbacks`, `training_loggers`
`epochs`        what is kept after each epoch, so that a training goes on there after it was killed
`testing`       `write_example_store`: a small store for tests and examples
`provenance`    `data_fingerprint`, `git_revision`, `package_versions`
==============  =====================================================================================
"""

__all__ = [
    "augmentation",
    "calibration",
    "callbacks",
    "config",
    "data",
    "epochs",
    "losses",
    "metrics",
    "patch_store",
    "provenance",
    "quantiles",
    "splits",
    "testing",
]
