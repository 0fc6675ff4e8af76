"""Whether a run can make what its models and products need, found out before any work."""

import difflib
import warnings
from collections.abc import Collection, Mapping

from darts_export.products import PRODUCTS, Product, product
from darts_nextgen.pipeline.config import RunConfig
from darts_postprocessing.checks import percent_text
from darts_postprocessing.plausibility import plausibility_variables
from darts_preprocessing.loading.releases import RULES, ReleaseRule
from darts_preprocessing.preprocessing import DEM_FEATURES, FEATURES, OPTICAL_FEATURES
from darts_preprocessing.spectral_indices import is_index
from darts_utils.errors import ConfigError, DartsWarning, TileContractError
from darts_utils.inference.agreement import Surroundings
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS, VARIABLES


def required_features(config: RunConfig, *, models: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Decide which features preprocessing makes: those that a model or a product needs.

    Args:
        config: The run.
        models: Name of each model → its ``required_variables``.

    Returns:
        Names of features, in the order of `darts_preprocessing.FEATURES`, then spectral indices.

    Raises:
        ConfigError: A model or a product needs what the run cannot make; names it, the variables and the option to add.
    """
    on_request = _on_request(config, models=models)
    named = {*config.export.products, *(variable for variables in models.values() for variable in variables)}
    provided = _provided(on_request, named)
    for name, variables in models.items():
        _check(f"model {name!r}", variables, provided, on_request, otherwise="choose a model that needs less")
    filters = plausibility_variables(config.postprocessing)
    _check("a filter of [postprocessing]", filters, provided, on_request, otherwise="switch the filter off")
    wanted = {*filters, *(variable for variables in models.values() for variable in variables)}
    for name in config.export.products:
        row = _product(name, provided)
        needed = (*row.needs, *(row.needs_any if not provided & set(row.needs_any) else ()))
        _check(f"product {name!r}", needed, provided, on_request, otherwise="leave the product out")
        wanted |= {*row.needs, *(variable for variable in row.needs_any if variable in provided)}
    return (*(name for name in FEATURES if name in wanted), *sorted(_indices(wanted)))


def usable_models(config: RunConfig, *, models: Mapping[str, Collection[str]]) -> dict[str, Collection[str]]:
    """Leave out the models that cannot run on any tile, where the run says so (``missing="skip"``).

    Args:
        config: The run.
        models: Name of each model → its ``required_variables``.

    Returns:
        Those of `models` that take part.

    Raises:
        ConfigError: None is left; names for each what it needs.

    Warns:
        DartsWarning: One is left out; names what it needs, and the option that would bring it.
    """
    if config.missing == "raise":
        return dict(models)
    on_request = _on_request(config, models=models)
    lacks = {
        name: _lacking(variables, _provided(on_request, variables), on_request) for name, variables in models.items()
    }
    if all(lacks.values()):
        each = "; ".join(f"model {name!r} needs {advice}" for name, advice in lacks.items())
        raise ConfigError(f"no model can run, so none can be left out: {each}")
    for name, advice in lacks.items():
        if advice:
            warnings.warn(f"the run does without model {name!r}, which needs {advice}", DartsWarning, stacklevel=2)
    return {name: variables for name, variables in models.items() if not lacks[name]}


def trends_rule(config: RunConfig, *, trained_with: Mapping[str, object]) -> ReleaseRule | None:
    """Decide how the date of a scene chooses among releases of the trends.

    Args:
        config: The run.
        trained_with: Name of each model that uses trends and says with which rule it was trained → the rule.

    Returns:
        What the run says, else what the models say; None where nobody says anything.

    Raises:
        ConfigError: A model names no rule that there is, or the models differ and the run says nothing.

    Warns:
        DartsWarning: The run says something else than a model.
    """
    said = ", ".join(f"{name!r} with {rule}" for name, rule in trained_with.items())
    known = [rule for rule in RULES if rule in trained_with.values()]
    if any(rule not in RULES for rule in trained_with.values()):
        raise ConfigError(
            f"expected tcvis_rule of a model to be one of {', '.join(RULES)}, but models were trained {said}: correct the file"
        )
    if config.tcvis_rule is None and len(known) > 1:
        raise ConfigError(
            f"models were trained with different rules for the release of the trends ({said}): choose one with --tcvis-rule"
        )
    if config.tcvis_rule is not None and any(rule != config.tcvis_rule for rule in known):
        notice = f"trends are chosen by the rule {config.tcvis_rule}, but models were trained otherwise: {said}"
        warnings.warn(notice, DartsWarning, stacklevel=2)
    return config.tcvis_rule or (known[0] if known else None)


def check_surroundings(config: RunConfig, *, trained_with: Mapping[str, Surroundings]) -> None:
    """Raise if the relative elevation of the run is relative to something else than that of a model.

    Args:
        config: The run.
        trained_with: Name of each model that says what its ``relative_elevation`` is relative to → that.

    Raises:
        ConfigError: Names the model, both, and what to do.
    """
    radii = config.preprocessing
    made = Surroundings(radii.tpi_outer_radius_m, radii.tpi_inner_radius_m)
    for name, trained in trained_with.items():
        if not trained.matches(made):
            raise ConfigError(
                f"model {name!r} was trained with an elevation relative to the mean {trained}, but the run makes one relative to "
                f"the mean {made}: set --tpi-outer-radius-m {trained.outer_m:g} --tpi-inner-radius-m {trained.inner_m:g}, or "
                "choose another model"
            )


def _provided(on_request: Mapping[str | None, Collection[str]], named: Collection[str]) -> set[str]:
    """What the run makes: always, with the options that are set, and those spectral indices that somebody names."""
    made = (names for option, names in on_request.items() if option is None)
    return _always_there().union(_indices(named), *made)


def _indices(names: Collection[str]) -> set[str]:
    return {name for name in {*names} - {*VARIABLES} if name.isidentifier() and is_index(name)}


def _always_there() -> set[str]:
    """What every tile has in the end, and the sensor masks, which depend on the scene."""
    made = {
        name
        for name, row in VARIABLES.items()
        if (row.stage != "preprocessing" or row.dtype == "bool") and not row.per_threshold
    }
    return made | {*OPTICAL_BANDS, *OPTICAL_FEATURES}


def _on_request(config: RunConfig, *, models: Collection[str]) -> dict[str | None, set[str]]:
    """Option that is not set → the variables that it would bring; those of the options that are set under None."""
    per_model = [name for name, row in VARIABLES.items() if row.per_model]
    rows = [
        ("--tcvis PATH", config.tcvis is not None, set(TCVIS_BANDS)),
        ("--dem PATH", config.dem is not None, set(DEM_FEATURES)),
        ("--keep-members", config.postprocessing.keep_members, {f"{name}-{m}" for name in per_model for m in models}),
    ]
    further = {f"binarized_above-{percent_text(each)}" for each in config.postprocessing.further_thresholds}
    table: dict[str | None, set[str]] = {None: further}
    for option, is_set, names in rows:
        table.setdefault(None if is_set else option, set()).update(names)
    return table


def _product(name: str, provided: Collection[str]) -> Product:
    try:
        row = product(name)
    except TileContractError as error:
        raise ConfigError(f"export.products: {error}") from error
    if name not in PRODUCTS and name not in VARIABLES and row.needs == (name,):
        near = difflib.get_close_matches(name, {*PRODUCTS, *provided}, n=1)
        advice = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(PRODUCTS)}, or a variable"
        raise ConfigError(f"unknown product {name!r} in export.products: {advice}")
    return row


def _check(
    consumer: str,
    variables: Collection[str],
    provided: Collection[str],
    on_request: Mapping[str | None, Collection[str]],
    *,
    otherwise: str,
) -> None:
    advice = _lacking(variables, provided, on_request)
    if advice:
        raise ConfigError(f"{consumer} needs {advice}; add it, or {otherwise}")


def _lacking(
    variables: Collection[str], provided: Collection[str], on_request: Mapping[str | None, Collection[str]]
) -> str:
    """What is not provided, each with the option that would bring it; empty where all is."""
    missing = [name for name in variables if name not in provided]
    advice = []
    for option, names in on_request.items():
        wanted = [name for name in missing if name in names]
        if wanted:
            advice.append(f"{', '.join(wanted)} (add {option})")
            missing = [name for name in missing if name not in names]
    if missing:
        advice.append(f"{', '.join(missing)} (no step of the run makes it)")
    return "; ".join(advice)
