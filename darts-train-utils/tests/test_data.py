import numpy as np
import pytest
import torch

from darts_train_utils.config import AugmentationConfig, DataConfig
from darts_train_utils.data import Draw, EpochSampler, PatchDataModule, PatchDataset
from darts_train_utils.patch_store import PatchStore, write_scene
from darts_train_utils.splits import Split
from darts_utils.errors import TrainingDataError
from darts_utils.inference import Normalization, Scaling

NORMALIZATION = Normalization({"slope": Scaling(0.0, 1 / 90), "red": Scaling(0.0, 1e-4)})
SPLIT = Split(np.arange(8), np.arange(8, 10), np.arange(10, 12), np.array([], "int64"))


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(0)
    bounds = np.array([[10.0 * k, 0, 10.0 * k + 10, 10] for k in range(12)])
    red = rng.integers(0, 10_000, (12, 16, 16), dtype="uint16")
    slope = 90 * rng.random((12, 16, 16), dtype="float32")
    slope[:, 3, 4] = np.nan
    labels = rng.integers(0, 3, (12, 16, 16), dtype="uint8")
    values = {"red": red, "slope": slope}
    write_scene(tmp_path, scene="s", region="r", crs="EPSG:3413", bounds=bounds, variables=values, labels=labels)
    return PatchStore(tmp_path)


def module_of(store, **changes):
    config = DataConfig(batch_size=4, **changes)
    return PatchDataModule(
        store, SPLIT, normalization=NORMALIZATION, seed=1, config=config, augmentation=AugmentationConfig()
    )


def test_a_plain_sample_is_what_inference_would_see(store):
    dataset = PatchDataset(store, normalization=NORMALIZATION, seed=0, augmentation=None)
    values, labels = store.read(5)
    sample = dataset[Draw(0, 0, 5)]
    expected = np.stack([np.nan_to_num(values["slope"]) / 90, values["red"] / 10_000])
    np.testing.assert_allclose(sample["image"], expected, rtol=1e-6)
    np.testing.assert_array_equal(sample["labels"], labels)
    assert (sample["image"].dtype, sample["labels"].dtype, sample["name"]) == (torch.float32, torch.int64, "s#5")


def test_samples_can_be_made_again_alone_and_are_finite(store):
    batches = list(module_of(store).train_dataloader())
    assert [len(batch["name"]) for batch in batches] == [4, 4]
    again = PatchDataset(store, normalization=NORMALIZATION, seed=1, augmentation=AugmentationConfig())
    sixth = int(batches[1]["name"][1].partition("#")[2])
    assert torch.equal(again[Draw(0, 5, sixth)]["image"], batches[1]["image"][1])
    assert all(((batch["image"] >= 0) & (batch["image"] <= 1)).all() for batch in batches)


def test_workers_change_nothing_and_follow_the_epoch(store):
    loaders = [module_of(store, workers=workers).train_dataloader() for workers in (0, 1)]
    for epoch in (0, 3):
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        for one, two in zip(*loaders, strict=True):
            assert one["name"] == two["name"]
            assert torch.equal(one["image"], two["image"])


def test_validation_and_test_come_in_order(store):
    module = module_of(store)
    assert next(iter(module.val_dataloader()))["name"] == ["s#8", "s#9"]
    assert next(iter(module.test_dataloader()))["name"] == ["s#10", "s#11"]


def test_an_epoch_draws_each_patch_once_and_processes_share_it():
    rows, positive = np.arange(100, 110), np.arange(10) < 3
    sampler = EpochSampler(rows, positive, seed=0, config=DataConfig())
    assert sorted(draw.row for draw in sampler) == rows.tolist()
    parts = [list(EpochSampler(rows, positive, seed=0, config=DataConfig(), rank=k, world_size=2)) for k in (0, 1)]
    assert sorted(parts[0] + parts[1], key=lambda draw: draw.position) == list(sampler)
    sampler.set_epoch(1)
    assert [draw.row for draw in sampler] != [
        draw.row for draw in sorted(parts[0] + parts[1], key=lambda d: d.position)
    ]


def test_the_share_with_the_class_is_as_asked():
    sampler = EpochSampler(
        np.arange(100), np.arange(100) < 5, seed=0, config=DataConfig(positive_share=0.5, samples_per_epoch=2000)
    )
    assert np.mean([draw.row < 5 for draw in sampler]) == pytest.approx(0.5, abs=0.05)
    assert len(sampler) == 2000


def test_what_cannot_be_drawn_is_refused(store):
    with pytest.raises(TrainingDataError, match="there are none"):
        EpochSampler(np.array([], "int64"), np.array([], bool), seed=0, config=DataConfig())
    with pytest.raises(TrainingDataError, match="0 of 3 show it"):
        EpochSampler(np.arange(3), np.zeros(3, bool), seed=0, config=DataConfig(positive_share=0.5))
    with pytest.raises(TrainingDataError, match="expected patches with ndvi"):
        PatchDataset(store, normalization=Normalization({"ndvi": Scaling(0, 1)}), seed=0, augmentation=None)


def test_crops_are_of_training_samples_alone(store):
    config = AugmentationConfig(crop_px=8)
    module = PatchDataModule(
        store, SPLIT, normalization=NORMALIZATION, seed=1, config=DataConfig(batch_size=4), augmentation=config
    )
    batch = next(iter(module.train_dataloader()))
    assert (batch["image"].shape, batch["labels"].shape) == ((4, 2, 8, 8), (4, 8, 8))
    assert next(iter(module.val_dataloader()))["image"].shape == (2, 2, 16, 16)
