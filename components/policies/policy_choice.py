"""Choose among policies on the select slice: the one with the largest lift that is likely to be proven.

`evaluation.policy.candidates` names further policies, exploration shares or temperatures. Each candidate first chooses
the temperature of each of its forms (temperature.py). Its expected lift is that of the form which will act,

    sum_k lift_k chance_k prod_{j < k} (1 - chance_j)                                                              (1)

over its forms in their order, because the first form that passes acts. A plain lower bound on so few rows would choose
the most timid candidate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from components.policies.policy_package import PolicyPackage
from components.policies.proposal import LearnedModels, SelectSlice, propose, scored_cells
from components.policies.temperature import LiftForecast
from components.settings.sections import PolicyConfig


@dataclass(frozen=True)
class ComparedPolicy:
    """One candidate. forms: by form the forecast of its chosen temperature; expected_lift: (1), per impression."""

    name: str
    exploration: float
    forms: Mapping[str, LiftForecast]
    expected_lift: float
    chosen: bool


@dataclass(frozen=True)
class ChosenPolicy:
    """The policy; by form the forecasts of all its temperatures; and every candidate, in the settings' order."""

    policy: PolicyPackage
    forecasts: dict[str, tuple[LiftForecast, ...]]
    compared: tuple[ComparedPolicy, ...]


def choose_policy(
    learned: LearnedModels,
    tables: dict[str, pd.DataFrame],
    pool: pd.DataFrame | None,
    selecting: SelectSlice,
    config: PolicyConfig,
) -> ChosenPolicy:
    """The candidate of `config` with the largest expected lift, the first of equals; arguments as for `propose`."""
    cells = scored_cells(learned, tables, config)
    proposals = [propose(learned, tables, pool, selecting, one, cells=cells) for one in config.compared]
    chosen_forms = [_chosen(policy, forecasts) for policy, forecasts in proposals]
    lifts = [expected_lift(forms.values()) for forms in chosen_forms]
    best = lifts.index(max(lifts))
    compared = tuple(
        ComparedPolicy(one.name, one.exploration, forms, lift, place == best)
        for place, (one, forms, lift) in enumerate(zip(config.compared, chosen_forms, lifts, strict=True))
    )
    return ChosenPolicy(*proposals[best], compared)


def expected_lift(forms) -> float:
    """Equation (1) of the forms' forecasts, in the order in which they are judged."""
    lift, none_passed = 0.0, 1.0
    for forecast in forms:
        lift += none_passed * forecast.chance * forecast.lift
        none_passed *= 1 - forecast.chance
    return lift


def _chosen(policy: PolicyPackage, forecasts: Mapping[str, tuple[LiftForecast, ...]]) -> dict[str, LiftForecast]:
    """The forecast of each form's chosen temperature."""
    temperatures = policy.parameters.temperatures
    return {
        form: next(forecast for forecast in of_form if forecast.temperature == temperatures[form])
        for form, of_form in forecasts.items()
    }
