"""What every trainer of DARTS shares: patch data sets, losses, augmentation, splits, metrics and callbacks."""
