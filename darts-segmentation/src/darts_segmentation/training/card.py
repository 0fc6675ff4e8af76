"""The model card: what a model is, what it learnt from, how good it is where, and what it is not good for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darts_utils.errors import CheckpointError
from darts_utils.inference.agreement import trained_surroundings
from darts_utils.inference.checkpoint import Checkpoint

_SCORES = {
    "patches": "patches",
    "objects": "objects",
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "ap": "AP",
    "auroc": "AUROC",
    "boundary_iou": "boundary IoU",
    "instance_f1": "object F1",
    "instance_ap": "object AP",
}
_LOW_RECALL, _FEW_OBJECTS, _BADLY_CALIBRATED = 0.5, 20, 0.05


def model_card(checkpoint: Checkpoint) -> str:
    """Write the card of a model, from what its file says.

    Args:
        checkpoint: A model of `darts_segmentation.training.train`.

    Returns:
        Markdown.

    Raises:
        CheckpointError: The file does not say how the model was trained.
    """
    config = checkpoint.config
    record = config.get("training")
    if not isinstance(record, Mapping) or not {"data", "scores", "config"} <= set(record):
        raise CheckpointError(
            "expected a model that says how it was trained, but its config has no such record: only models of `darts train fit` "
            "have a card"
        )
    parts = [
        f"# Model {config.get('name', 'without a name')}",
        _overview(config, record, sum(tensor.numel() for tensor in checkpoint.statedict.values())),
        _inputs(config),
        _data(record),
        *(_scores(part, table) for part, table in record["scores"].items()),
        _calibration(config, record),
        _limits(config, record),
        _provenance(record),
    ]
    return "\n\n".join(parts) + "\n"


def _overview(config: Mapping[str, Any], record: Mapping[str, Any], parameters: int) -> str:
    network = config["model"]
    trained = record["config"]
    lines = [
        f"Semantic segmentation: {' / '.join(config['class_names'])}, one probability for each pixel.",
        "",
        f"- network: {network['arch']}, encoder {network['encoder_name']}, {parameters / 1e6:.2f} million numbers",
        f"- patches of {config['patch_size']} px",
        f"- epochs until the best one: {record['epochs']} of at most {trained['epochs']}",
    ]
    if record["best_score"] is not None:
        lines.append(f"- best {trained['monitor']['monitor']}: {record['best_score']:.4f}")
    if record["start"] is not None:
        lines.append(f"- fine-tuned from {record['start']['name'] or 'a model without a name'}")
    return "\n".join(lines)


def _inputs(config: Mapping[str, Any]) -> str:
    quantiles = config["input_quantiles"]
    shown = [0.1, 5.0, 50.0, 95.0, 99.9]
    columns = [quantiles["percent"].index(each) for each in shown]
    rows = []
    for name in config["input_combination"]:
        scaling = config["normalization"][name]
        values = [f"{quantiles['values'][name][column]:.4g}" for column in columns]
        rows.append([f"`{name}`", f"(x − {scaling['offset']:.6g}) · {scaling['scale']:.6g}", *values])
    head = ["input", "scaled", *(f"{each:g} %" for each in shown)]
    text = "## Inputs\n\nIn channel order, with quantiles in the training patches, in tile units.\n\n" + _table(
        head, rows
    )
    return "\n\n".join([text, *_made_how(config)])


def _made_how(config: Mapping[str, Any]) -> list[str]:
    """Say how elevation and trends were made, as far as it is known."""
    surroundings, rule = trained_surroundings(config), config.get("tcvis_rule")
    elevation = [] if surroundings is None else [f"`relative_elevation` is relative to the mean {surroundings}."]
    return [*elevation, *([] if rule is None else [f"The releases of the trends were chosen by the rule `{rule}`."])]


def _data(record: Mapping[str, Any]) -> str:
    data, split = record["data"], record["config"]["split"]
    sides = ("training", "validation", "test", "left_out")
    rows = [
        [name, *(str(region[side]) for side in sides), f"{region['positive_share']:.2%}"]
        for name, region in data["regions"].items()
    ]
    head = ["region", "training", "validation", "test", "left out", "share of the class"]
    return (
        f"## Training data\n\n{data['patches']} patches of {data['scenes']} scenes, split by {split['method']} (seed "
        f"{split['seed']}); no two patches that share ground are on different sides. Fingerprint `{data['fingerprint']}`.\n\n"
        "Patches by region:\n\n" + _table(head, rows)
    )


def _scores(part: str, table: Mapping[str, Any]) -> str:
    rows = [[name, *_numbers(scores)] for name, scores in table["regions"].items()]
    rows.append(["**all**", *_numbers(table["overall"])])
    return (
        f"## Scores on {part} patches\n\nAt probability {table['threshold']:g}; objects are found at IoU ≥ 0.5; rims of "
        f"{table['boundary_width_px']:g} px.\n\n" + _table(["region", *_SCORES.values()], rows)
    )


def _calibration(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    calibration = config["calibration"]
    temperature = calibration["temperature"]
    if temperature is None:
        said = "No temperature was fitted."
    else:
        used = "applied" if calibration["apply"] else "not applied"
        said = f"Temperature {temperature:.4g}, fitted on the validation patches, {used} at inference."
    parts = [f"## Calibration\n\n{said}"]
    for part, table in record["scores"].items():
        curve = table["reliability"]
        points = zip(curve["predicted"], curve["observed"], curve["counts"], strict=True)
        rows = [[f"{predicted:.3f}", f"{observed:.3f}", str(count)] for predicted, observed, count in points]
        parts.append(
            f"On {part} patches the expected error is {curve['expected_error']:.4f}:\n\n"
            + _table(["mean probability", "share of the class", "pixels"], rows)
        )
    return "\n\n".join(parts)


def _limits(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    return "## Known limits\n\n" + "\n".join(f"- {line}" for line in known_limits(config, record))


def known_limits(config: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Say what the record of a training warns of.

    Args:
        config: The checkpoint's ``config``.
        record: Its ``training``.

    Returns:
        Sentences.
    """
    regions, scores = record["data"]["regions"], record["scores"]
    trained = [name for name, region in regions.items() if region["training"]]
    lines = [
        f"It has learnt from {_listed(trained)} and nowhere else; elsewhere nothing is known about it.",
        "Inputs outside the quantiles above were hardly seen; `darts` warns where many pixels of a tile are.",
        "Patches were scored one by one, without the overlap of inference; objects that an edge cuts count in each patch.",
    ]
    if "test" not in scores:
        lines.append("There were no test patches: no score here is independent of the choice of the best epoch.")
    for part, table in scores.items():
        lines += _limits_of(part, table, trained)
    if record["config"]["split"]["method"] in {"random", "stratified"}:
        lines.append("Test patches lie near training patches: scores elsewhere will be lower.")
    if config["calibration"]["temperature"] is None:
        lines.append("Probabilities are not calibrated.")
    return lines


def _limits_of(part: str, table: Mapping[str, Any], trained: Sequence[str]) -> list[str]:
    lines = []
    if table["overall"]["objects"] < _FEW_OBJECTS:
        lines.append(
            f"Only {table['overall']['objects']} objects among the {part} patches: scores of objects say little."
        )
    missed = [
        name for name, row in table["regions"].items() if row["recall"] is not None and row["recall"] < _LOW_RECALL
    ]
    if missed:
        lines.append(f"It misses more than half of the class in {_listed(missed)} ({part}).")
    if part == "test" and set(table["regions"]) & set(trained):
        lines.append("Regions of the test are also regions of the training: scores in new regions may be lower.")
    if table["reliability"]["expected_error"] > _BADLY_CALIBRATED:
        lines.append(
            f"Probabilities of {part} patches are off by {table['reliability']['expected_error']:.2f} in the mean: do not read "
            "them as frequencies."
        )
    return lines


def _provenance(record: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(record["packages"].items()))
    revision = record["git_revision"]
    return (
        f"## Provenance\n\n- source: {f'commit `{revision}`' if revision else 'installed packages'}\n- packages: {packages}\n"
        f"- seed: {record['config']['seed']}"
    )


def _numbers(scores: Mapping[str, Any]) -> list[str]:
    values = (scores[name] for name in _SCORES)
    return ["–" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}" for value in values]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
