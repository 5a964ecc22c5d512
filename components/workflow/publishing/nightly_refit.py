"""Nightly refits of the champion's recipe: whether a run is one, what it learns from, and what the last was worth."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from upath import UPath

from components.contract.files.digests import digest_json
from components.contract.files.tables import read_table
from components.evaluation.gate.refresh_evidence import refresh_values
from components.evaluation.held_out import rows_from
from components.evaluation.judging import judge
from components.evaluation.rewards import REWARDS
from components.evaluation.split_by_policy import pooled_log
from components.features.timeline import microseconds
from components.policies.ragged_rows import spread
from components.registry.mlflow_store import Version, digest_of, fetch_package, find_version, open_store, version_of
from components.registry.promotion import CHAMPION, RECIPE
from components.registry.refresh import RefitNight
from components.registry.refresh_records import refresh_state
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.settings.sections import Settings
from components.workflow.caching.manifests import digest_code
from components.workflow.caching.stage_graph import GRAPH
from components.workflow.evaluation_inputs import EvaluationInputs, read_evaluation_inputs
from components.workflow.publishing.deployed_policy import POLICY, RegisteredPolicy, read_champion, registered_policy

MADE_BY = ("features", "interest", "creatives", "evaluation")  # the stages whose settings and code make a policy
SHARES = {"train_share": 0.8, "calibration_share": 0.1, "select_share": 0.1}  # of what a refit learns from
DAY = 86_400_000_000  # microseconds
LEAST_SCORED, MARGIN = 0.02, 1.05  # share of the log's time left to score the last refit; factor on the time since it


def check_refresh(settings: Settings) -> None:
    """UserError if the settings ask for refreshes by a reward that is not final at once."""
    reward = settings.evaluation.reward
    if settings.promotion.refresh and REWARDS[reward].delayed:
        raise UserError(
            f"promotion.refresh: refits are scored on the next night's impressions, whose {reward} is not final then; "
            "set evaluation.reward=click, or promotion.refresh=false"
        )


def recipe(settings: Settings, code: Mapping[str, str] | None = None) -> str:
    """The digest of the settings, without seeds, and code that make a policy; equal if only the data differ.

    The shares of the log that teach and judge are no part of it, because a refit has others (`refit_overrides`).
    code: by stage in MADE_BY, the digest of the code that ran; None: of the code as it is now.
    """
    sections = {name: settings.of_stage(name) for name in MADE_BY}
    sections["evaluation"] = settings.evaluation.policy
    code = code or {name: digest_code(GRAPH[name].code) for name in MADE_BY}
    settings_of = {name: _part_of_recipe(config.model_dump(mode="json")) for name, config in sections.items()}
    return digest_json([dict(code), settings_of])


def _part_of_recipe(value: object) -> object:
    if isinstance(value, dict):
        return {key: _part_of_recipe(item) for key, item in value.items() if key not in ("seed", *SHARES)}
    return [_part_of_recipe(item) for item in value] if isinstance(value, list) else value


def refreshed_champion(client, name: str, settings: Settings) -> Version | None:
    """The champion that a run with `settings` refits; None if it makes another policy, or refreshes are off."""
    if not settings.promotion.refresh:
        return None
    champion = version_of(client, name, CHAMPION)
    return champion if champion is not None and champion.tags.get(RECIPE) == recipe(settings) else None


def refit_overrides(dataset: str, settings: Settings, paths: Paths) -> tuple[str, ...]:
    """Settings (section.key=value) with which a run refits the champion; none for other runs.

    The impressions since the last refit score it, so no model of this run is trained on them; all earlier ones may
    teach. Without a last refit the log's last day is left out. The policy's temperature is chosen as if the settings'
    own shares judged it. If the time since the last refit is more than those leave to judge, they stay.
    """
    client, name = open_store(settings.promotion.lock), f"{dataset}-{POLICY}"
    champion = refreshed_champion(client, name, settings)
    if champion is None:
        return ()
    moment = microseconds(read_table(paths.stage("validation"), "impressions", ["timestamp"])["timestamp"])
    first, last = int(moment.min()), int(moment.max())
    state = refresh_state(champion)
    since = DAY if state is None else last - state.until
    scored = max(LEAST_SCORED, MARGIN * since / max(last - first, 1))
    judging = 1 - sum(getattr(settings.features, share) for share in SHARES)
    if scored >= judging:
        return ()
    shares = [f"features.{name}={share * (1 - scored):.9f}" for name, share in SHARES.items()]
    return (*shares, f"evaluation.proof_impressions={max(1, round(judging * len(moment)))}")


def score_refit(dataset: str, settings: Settings, paths: Paths) -> RefitNight | None:
    """What the impressions since the last refit of the champion say of it; None without a refit or such impressions.

    The refit and the champion are compared in the champion's acting form, on impressions with a final reward that no
    model of either was trained on.
    """
    client, name = open_store(settings.promotion.lock), f"{dataset}-{POLICY}"
    champion = refreshed_champion(client, name, settings)
    state = refresh_state(champion) if champion is not None else None
    last = find_version(client, name, state.refit) if state is not None else None
    if last is None or log_until(paths) <= state.until:
        return None
    inputs = read_evaluation_inputs(settings.evaluation, paths)
    with tempfile.TemporaryDirectory(prefix="adloom-refit-") as scratch:
        folder = Path(scratch) / POLICY
        fetch_package(last, folder)  # checks digest and signature
        record = {"model": name, "version": last.number, "package": digest_of(last), "acts": read_champion(paths).acts}
        policy = registered_policy(UPath(folder), record)
        return _score(policy, digest_of(last), inputs, state.until, settings)


def _score(
    policy: RegisteredPolicy, digest: str, inputs: EvaluationInputs, until: int, settings: Settings
) -> RefitNight | None:
    rows = rows_from(inputs.rows(charged=True, exclude_bots=settings.evaluation.exclude_bots), until + 1)
    if not len(rows.impressions):
        return None
    target = policy.probabilities(inputs.tables, rows.impressions, rows.pairs)
    unlogged = policy.package.unlogged_share(rows.impressions, rows.pairs, rows.offsets)
    tables = inputs.judging_tables(rows, charged=True, truth=None)
    judgement = judge(rows, target, unlogged, settings.evaluation, tables)
    harms = judgement.gate.harms if judgement.gate is not None else ()
    log = pooled_log(rows, tables.creatives, inputs.reward)
    reduced = target * (1 - spread(unlogged, rows.offsets))
    values = refresh_values(log, reduced, rows.baseline, settings.promotion.refresh_margin)
    sums = len(values), float(values.sum()), float((values**2).sum())
    return RefitNight(digest, *sums, judgement.critical_findings() + harms)


def log_until(paths: Paths) -> int:
    """The time of the last impression, microseconds since 1970."""
    impressions = read_table(paths.stage("validation"), "impressions", ["timestamp"])
    return int(microseconds(impressions["timestamp"]).max())
