import numpy as np
import pytest
import sklearn.metrics as peer
import torch
from scipy.ndimage import gaussian_filter
from skimage.measure import label as skimage_label
from skimage.morphology import disk, erosion

from darts_train_utils.metrics import boundary_iou, pixel_metrics, score_instances, update_metrics
from darts_utils.errors import TrainingDataError


def a_case(seed, *, ignored=True, shape=(64, 72)):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), 3)
    field /= field.std()
    labels = (field > 1).astype("uint8")
    noisy = 1 / (1 + np.exp(-3 * (field + rng.normal(0, 0.3, shape) - 1)))
    if ignored:
        labels[:8, :20] = 2
    return noisy.astype("float32"), labels


def test_pixel_scores_equal_scikit_learn():
    metrics = pixel_metrics(prefix="val/", curve_points=2001)
    cases = [a_case(seed) for seed in range(3)]
    for probabilities, labels in cases:
        spoilt = np.where(labels == 2, np.nan, probabilities)
        update_metrics(metrics, torch.tensor(spoilt)[None], torch.tensor(labels)[None].long())
    values = {name: float(value) for name, value in metrics.compute().items()}
    p, y = (np.concatenate([case[part].ravel() for case in cases]) for part in (0, 1))
    p, y = p[y != 2], y[y != 2]
    for name, function in {
        "iou": peer.jaccard_score,
        "f1": peer.f1_score,
        "precision": peer.precision_score,
        "recall": peer.recall_score,
    }.items():
        assert values[f"val/{name}"] == pytest.approx(function(y, p > 0.5), abs=1e-6)
    assert values["val/ap"] == pytest.approx(peer.average_precision_score(y, p), abs=2e-3)
    assert values["val/auroc"] == pytest.approx(peer.roc_auc_score(y, p), abs=2e-3)


@pytest.mark.parametrize("iou_threshold", [0.5, 0.75])
def test_instances_equal_a_plain_count_with_scikit_image(iou_threshold):
    cases = [a_case(seed) for seed in range(4)]
    tp = found = true = 0
    for probabilities, labels in cases:
        ours, theirs = (
            skimage_label(mask & (labels != 2), connectivity=2) for mask in (probabilities > 0.5, labels == 1)
        )
        found, true = found + ours.max(), true + theirs.max()
        for a in range(1, ours.max() + 1):  # from 0.5 on, at most one partner exists but for exact halves
            for b in set(theirs[ours == a].tolist()) - {0}:
                tp += ((ours == a) & (theirs == b)).sum() / ((ours == a) | (theirs == b)).sum() >= iou_threshold
    score = score_instances(*zip(*cases, strict=True), iou_thresholds=[iou_threshold])[0]
    assert (score.true_positives, score.false_positives, score.false_negatives) == (tp, found - tp, true - tp)
    assert 0 < tp < found
    assert score.f1 == pytest.approx(2 * tp / (found + true))


def test_ap_of_objects_equals_scikit_learn_where_each_true_one_is_found():
    truth = np.zeros((10, 40), "uint8")
    probabilities = np.zeros((10, 40), "float32")
    values, hits = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]
    for k, (value, hit) in enumerate(zip(values, hits, strict=True)):
        probabilities[2:6, 10 * k + 1 : 10 * k + 6] = value
        truth[2:6, 10 * k + 1 : 10 * k + 6] = hit
    score = score_instances([probabilities], [truth], iou_thresholds=[0.5])[0]
    assert score.ap == pytest.approx(peer.average_precision_score(hits, values))


def test_without_objects_there_is_no_score():
    empty = np.zeros((5, 5), "uint8")
    score = score_instances([empty.astype("float32")], [empty], iou_thresholds=[0.5])[0]
    assert np.isnan(score.f1)
    assert np.isnan(score.ap)
    one = empty.copy()
    one[2, 2] = 1
    assert score_instances([empty.astype("float32")], [one], iou_thresholds=[0.5])[0].ap == 0
    assert score_instances([one.astype("float32")], [empty], iou_thresholds=[0.5])[0].f1 == 0


def test_boundary_iou_equals_erosion_by_scikit_image():
    inside = np.zeros((64, 72), dtype=bool)
    inside[5:-5, 5:-5] = True
    for seed in range(4):
        probabilities, labels = a_case(seed, ignored=False)
        masks = [mask & inside for mask in (probabilities > 0.5, labels == 1)]
        for width in (1, 3):
            rims = [mask & ~erosion(mask, disk(width)) for mask in masks]
            ours = boundary_iou(masks[0], masks[1].astype("uint8"), width_px=width)
            assert ours == (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()


def test_ignored_pixels_make_no_boundary():
    labels = np.zeros((9, 9), "uint8")
    labels[2:7, 2:7] = 1
    mask = labels == 1
    labels[:, 4:] = 2
    assert boundary_iou(mask, labels, width_px=1) == 1
    mask[3, 3] = False
    assert boundary_iou(mask, labels, width_px=1) < 1


def test_without_a_rim_there_is_no_score():
    assert np.isnan(boundary_iou(np.zeros((3, 3), bool), np.zeros((3, 3), "uint8"), width_px=1))
    assert np.isnan(boundary_iou(np.ones((3, 3), bool), np.ones((3, 3), "uint8"), width_px=1))


def test_nonsense_is_refused():
    good, labels = np.zeros((2, 2), "float32"), np.zeros((2, 2), "uint8")
    with pytest.raises(TrainingDataError, match="one shape"):
        score_instances([good], [labels[:1]])
    with pytest.raises(TrainingDataError, match="labels 0, 1, 2"):
        score_instances([good], [labels + 7])
    with pytest.raises(TrainingDataError, match="within 0 … 1"):
        score_instances([good + 3], [labels])
    with pytest.raises(TrainingDataError, match="within 0 … 1"):
        update_metrics(pixel_metrics(), torch.full((1, 2, 2), float("nan")), torch.zeros(1, 2, 2, dtype=torch.int64))
    with pytest.raises(TrainingDataError, match="IoU thresholds"):
        score_instances([good], [labels], iou_thresholds=[0.0])
    with pytest.raises(TrainingDataError, match="width_px"):
        boundary_iou(good > 0, labels, width_px=0)
