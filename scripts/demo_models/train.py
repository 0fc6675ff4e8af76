"""Train the two models of the demo on the synthetic Arctic and write them into darts-nextgen.

Usage: ``python scripts/demo_models/train.py [--models full optical] [--steps N] [--out FOLDER]``
"""

import argparse
import dataclasses
import json
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import recipe
import torch
from samples import IGNORE, make_samples

from darts_segmentation.networks import build_network
from darts_utils.inference.checkpoint import Checkpoint, write_checkpoint
from darts_utils.synthetic import WORLD_VERSION, scene_specs

MODELS = Path(__file__).resolve().parents[2] / "darts-nextgen" / "src" / "darts_nextgen" / "demo" / "models"
Samples = list[tuple[np.ndarray, np.ndarray]]


class Crops:
    """Endless random crops: every second one around a slump pixel, turned, flipped, brighter or darker."""

    def __init__(self, samples: Samples, *, channels: int, crop_px: int, seed: int) -> None:
        self.samples = samples
        self.channels = channels
        self.crop_px = crop_px
        self.rng = np.random.default_rng(seed)
        self.slump_pixels = [np.argwhere(label == 1) for _, label in samples]
        self.with_slumps = [index for index, pixels in enumerate(self.slump_pixels) if len(pixels)]

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """One crop: ``(C, crop, crop)`` float32 and ``(crop, crop)`` uint8."""
        rng = self.rng
        on_slump = rng.random() < 0.5
        index = int(rng.choice(self.with_slumps) if on_slump else rng.integers(len(self.samples)))
        inputs, label = self.samples[index]
        if on_slump:
            pixel = self.slump_pixels[index][rng.integers(len(self.slump_pixels[index]))]
            corner = pixel - rng.integers(0, self.crop_px, 2)
        else:
            corner = rng.integers(0, np.array(label.shape) - self.crop_px + 1)
        row, column = np.clip(corner, 0, np.array(label.shape) - self.crop_px)
        window = (slice(row, row + self.crop_px), slice(column, column + self.crop_px))
        x = inputs[: self.channels, window[0], window[1]].astype("float32")
        y = label[window]
        turns, flip = rng.integers(4), rng.random() < 0.5
        x, y = np.rot90(x, turns, (1, 2)), np.rot90(y, turns)
        if flip:
            x, y = x[:, ::-1], y[::-1]
        x = x.copy()
        x[:4] = np.clip(x[:4] * rng.uniform(0.85, 1.18) * rng.normal(1, 0.03, (4, 1, 1)), 0, 1)
        return x, y.copy()

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``(B, C, crop, crop)`` float32 and ``(B, crop, crop)`` uint8."""
        drawn = [self.draw() for _ in range(size)]
        inputs = torch.from_numpy(np.stack([x for x, _ in drawn]))
        return inputs.to(memory_format=torch.channels_last), torch.from_numpy(np.stack([y for _, y in drawn]))


def loss_of(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus soft Dice over the pixels that count."""
    counts = label != IGNORE
    target, logits = (label[counts] == 1).float(), logits[:, 0][counts]
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * target).sum() + 1
    return cross_entropy + 1 - overlap / (probability.sum() + target.sum() + 1)


@torch.inference_mode()
def validation_iou(network: torch.nn.Module, samples: Samples, channels: int) -> float:
    """Pixel IoU at 0.5, pooled over the validation scenes."""
    network.eval()
    overlap = union = 0
    for inputs, label in samples:
        x = torch.from_numpy(inputs[None, :channels].astype("float32"))
        found = network(x)[0, 0].numpy() > 0
        truth, counts = label == 1, label != IGNORE
        overlap += int((found & truth & counts).sum())
        union += int(((found | truth) & counts).sum())
    network.train()
    return overlap / max(union, 1)


def train_one(name: str, train: Samples, validation: Samples, *, schedule: recipe.Schedule, out: Path) -> None:
    """Train one model and write its checkpoint and its record."""
    torch.manual_seed(recipe.SEED)
    torch.set_num_threads(1)
    network = build_network(recipe.network_config(name)).to(memory_format=torch.channels_last)
    seconds = train_round(name, network, train, validation, schedule=schedule, number=0, out=out)
    if schedule.more_steps:
        train_round(name, network, train, validation, schedule=schedule, number=1, out=out, seconds_before=seconds)


def train_round(
    name: str,
    network: torch.nn.Module,
    train: Samples,
    validation: Samples,
    *,
    schedule: recipe.Schedule,
    number: int,
    out: Path,
    seconds_before: float = 0.0,
) -> float:
    """Train with a learning rate that rises and falls once; write checkpoint and record; return the seconds so far."""
    start = time.perf_counter() - seconds_before
    channels = len(recipe.INPUTS[name])
    steps = (schedule.steps, schedule.more_steps)[number]
    done = number * schedule.steps
    crops = Crops(train, channels=channels, crop_px=schedule.crop_px, seed=recipe.SEED + number)
    peak = schedule.learning_rate / (1 + number)
    optimiser = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=schedule.weight_decay)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=steps, pct_start=0.15)
    running = 0.0
    for step in range(1, steps + 1):
        x, y = crops.batch(schedule.batch_size)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(x)
        loss = loss_of(logits.float(), y)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        plan.step()
        running += loss.item()
        if step % 500 == 0 or step == steps:
            since = time.perf_counter() - start
            scored = step % 2000 == 0 or step == steps
            iou = validation_iou(network, validation, channels) if scored else float("nan")
            print(
                f"{name}: step {done + step}, loss {running / 500:.4f}, validation IoU {iou:.3f}, {since:.0f} s",
                flush=True,
            )
            running = 0.0
            if scored:
                save(
                    name, network, out, schedule=schedule, seconds=since, iou=iou, steps=done + step, scenes=len(train)
                )
    return time.perf_counter() - start


def save(
    name: str,
    network: torch.nn.Module,
    out: Path,
    *,
    schedule: recipe.Schedule,
    seconds: float,
    iou: float,
    steps: int,
    scenes: int,
) -> None:
    """Write checkpoint and record."""
    first = min(steps, schedule.steps)
    record = {
        "command": recipe.COMMAND,
        "seed": recipe.SEED,
        "world_version": WORLD_VERSION,
        "train_scenes": scenes,
        "schedule": {**dataclasses.asdict(schedule), "steps": first, "more_steps": steps - first},
        "training_seconds": round(seconds),
        "validation_pixel_iou": round(iou, 4),
        "torch": str(torch.__version__),
    }
    config = {
        "model_framework": "smp",
        "name": name,
        "model": recipe.network_config(name),
        "input_combination": list(recipe.INPUTS[name]),
        "patch_size": recipe.PATCH_PX,
        "normalization": {variable: recipe.NORMALIZATION[variable] for variable in recipe.INPUTS[name]},
        "training": record,
    }
    weights = {key: value.detach().contiguous().clone() for key, value in network.state_dict().items()}
    write_checkpoint(out / f"{name}.pt", Checkpoint(config=config, statedict=weights))
    (out / f"{name}.training.json").write_text(json.dumps(record, indent=1) + "\n")


def _process(name: str, folder: str, out: str, schedule: recipe.Schedule) -> None:
    with np.load(Path(folder) / "index.npz") as index:
        train, validation = (
            [_stored(Path(folder) / f"{seed}.npz") for seed in index[split]] for split in ("train", "validation")
        )
    train_one(name, train, validation, schedule=schedule, out=Path(out))


def _stored(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as stored:
        return stored["inputs"], stored["label"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=sorted(recipe.INPUTS), default=sorted(recipe.INPUTS))
    parser.add_argument("--steps", type=int, help="of the first round; there is no second one then")
    parser.add_argument("--scenes", type=int, default=recipe.TRAIN_SCENES)
    parser.add_argument("--out", type=Path, default=MODELS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    schedules = dict(recipe.SCHEDULES)
    if options.steps is not None:
        schedules = {name: dataclasses.replace(s, steps=options.steps, more_steps=0) for name, s in schedules.items()}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        train = list(scene_specs("train", options.scenes))
        validation = list(scene_specs("validation", recipe.VALIDATION_SCENES))
        make_samples([*train, *validation], Path(folder), processes=2)
        np.savez(Path(folder) / "index.npz", train=[s.seed for s in train], validation=[s.seed for s in validation])
        print(f"{len(train)} training scenes made in {time.perf_counter() - start:.0f} s", flush=True)
        context = get_context("spawn")
        runs = [
            context.Process(target=_process, args=(name, folder, str(options.out), schedules[name]))
            for name in options.models
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        if any(run.exitcode != 0 for run in runs):
            raise SystemExit("a training run failed: see above")


if __name__ == "__main__":
    main()
