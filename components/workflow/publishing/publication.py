"""Publication of a run: its models as registered versions, and the decision applied to the aliases.

Only a run and a deployment publish; `dvc repro` stops at decision.json, and so does a run as of an earlier time without
`--publish`. Publishing twice changes nothing. Only files that were judged are registered and exported.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from upath import UPath

from components.contract.escaping import markdown
from components.contract.files.digests import (
    digest_json,
    digest_package,
    digest_tree,
)
from components.contract.files.tables import read_json, write_json
from components.registry.decision import Decision
from components.registry.decision_records import forms_of
from components.registry.locks import folder_lock, store_lock
from components.registry.mlflow_flavours import log_generators, log_interest, log_policy
from components.registry.mlflow_store import ModelRecord, digest_of, fetch_package, open_store, register, version_of
from components.registry.promotion import CHAMPION, RECIPE, apply, apply_gate, complete_changes, questions
from components.registry.promotion import charge as charge_ledger
from components.registry.refresh import Refit, RefitNight, apply_refresh
from components.registry.refresh_records import deployed
from components.registry.signing import signature_path, verify
from components.settings.errors import UserError
from components.settings.paths import STAGES, Paths
from components.settings.sections import Settings
from components.workflow.caching.freshness import settings_digest
from components.workflow.caching.manifests import read_manifest
from components.workflow.creative_review import write_reviews
from components.workflow.publishing.deployed_policy import POLICY, read_champion
from components.workflow.publishing.nightly_refit import MADE_BY, check_refresh, log_until, recipe, refreshed_champion
from components.workflow.run_stage import question

RUN = "`adloom run`"  # the holder that the lock of a data set's artifacts names
UNPUBLISHED = (
    "a run as of an earlier time publishes nothing; with `--publish` it charges the ledger, registers and promotes"
)


def snapshot(dataset: str, settings: Settings, paths: Paths) -> None:
    """Write the registry's snapshot for the stages: the ledger, the champion policy's files and record.

    With `creatives.warm_start` also the champion generators' files. Interrupted changes are completed first. UserError,
    before any work is done, if the registry has no lock, the champion cannot be read, or a setting names an unknown
    ad size, market or generator family.
    """

    _check_creatives(settings, paths)
    check_refresh(settings)
    lock = store_lock(settings.promotion.lock)
    client, name = open_store(settings.promotion.lock), f"{dataset}-{POLICY}"
    with folder_lock(Path(paths.artifacts), RUN):
        with lock:
            for kind in ("interest", "creatives", POLICY):
                complete_changes(client, f"{dataset}-{kind}")
        write_json(list(questions(client, name)), paths.ledger)
        write_reviews(client, name, paths)
        champion = _fetch_champion(client, name, paths.champion)
        if champion is None:
            paths.champion_record.unlink(missing_ok=True)
        else:
            package = {"model": champion.name, "package": champion.tags["package_digest"]}
            write_json({"version": champion.number, **package, **forms_of(champion)}, paths.champion_record)
            read_champion(paths)
        if settings.creatives.warm_start:
            _fetch_champion(client, f"{dataset}-creatives", paths.champion_generators)


def _check_creatives(settings: Settings, paths: Paths) -> None:
    """UserError if a setting names an unknown ad size, market or generator family, or a family's setting is wrong.

    Settings with which the stage has run are valid, so a second run need not import Keras to check them.
    """
    manifest = read_manifest(paths.stage("creatives"))
    if manifest is not None and manifest.settings == settings_digest(settings.of_stage("creatives")):
        return
    from components.ads.markets.market_rules import check_markets
    from components.ads.rendering.ad_sizes import ad_sizes
    from components.generators.generator_kinds import check_families

    ad_sizes(settings.ads.sizes)
    check_markets(settings.ads.markets)
    check_families(settings.creatives)


def charge(dataset: str, settings: Settings, paths: Paths) -> str | None:
    """The key of the question, after charging the ledger for the evaluation's look at the judged rows.

    A question that was charged before costs nothing. The ledger's snapshot is updated. None, and nothing is charged, if
    the run refits the champion (`promotion.refresh`): no superiority is claimed then.
    """

    key = question(settings, paths)
    client = open_store(settings.promotion.lock)
    if refreshed_champion(client, f"{dataset}-{POLICY}", settings) is not None:
        return None
    write_json(list(charge_ledger(client, f"{dataset}-{POLICY}", key)), paths.ledger)
    return key


def _fetch_champion(client, name: str, folder: UPath):
    """The champion of `name`, after syncing `folder` with its files; None, and no folder, without a champion."""

    version = version_of(client, name, CHAMPION)
    if version is None:
        shutil.rmtree(folder, ignore_errors=True)
        signature_path(Path(folder)).unlink(missing_ok=True)
    elif not _is_fetched(version, Path(folder)):
        fetch_package(version, Path(folder))
    return version


def _is_fetched(version, folder: Path) -> bool:
    """Whether `folder` holds the signed files of `version`."""

    if not folder.exists() or digest_package(folder) != digest_of(version):
        return False
    try:
        verify(folder, version.name, signature_path(folder), str(folder))
    except UserError:  # it is fetched again and checked then
        return False
    return True


def publish(dataset: str, settings: Settings, paths: Paths, flow_run_id: str, night: RefitNight | None = None) -> dict:
    """The outcome of the run, after registering each model with its gate and applying the decision.

    night: what new impressions say of the last refit of the champion (nightly_refit.score_refit). UserError, with
    nothing registered, if a stage's files are not those that the decision was made about.
    """

    with folder_lock(Path(paths.artifacts), RUN):
        client = open_store(settings.promotion.lock)
        decision = Decision.of(read_json(paths.stage("promotion") / "decision.json"))
        _check_judged(decision, paths)
        gates = {"interest": decision.evidence.interest, "creatives": decision.evidence.creatives}
        tags = {"flow_run_id": flow_run_id, "dataset": dataset}
        pins = {RECIPE: recipe(settings, {name: read_manifest(paths.stage(name)).code for name in MADE_BY})}
        for record in _models(dataset, settings, paths, gates, tags):
            version = register(client, record)
            kind = record.name.removeprefix(f"{dataset}-")
            pins[f"{kind}_version"] = str(version.number)
            apply_gate(client, record.name, version, gates[kind])
        name = f"{dataset}-{POLICY}"
        candidate = register(client, _policy(dataset, settings, paths, {**tags, **pins}))
        if decision.action == "preview" and refreshed_champion(client, name, settings) is not None:
            refit = Refit(candidate, decision, log_until(paths), read_champion(paths).acts, night)
            outcome = apply_refresh(client, name, refit, settings.promotion)
        else:
            outcome = apply(client, name, candidate, decision, settings.promotion.approval)
        acting = deployed(client, name)
        return {
            **_outcome(dataset, decision, outcome.action, outcome.reasons),
            "champion": outcome.champion,
            "candidate": outcome.candidate,
            "deployed": acting.version.number if acting else None,
            "acting": acting.forms if acting else None,
            "package": digest_of(acting.version) if acting else None,
        }


def preview(dataset: str, paths: Paths) -> dict:
    """The outcome of a run that publishes nothing: the decision, and the champion in the snapshot."""

    decision = Decision.of(read_json(paths.stage("promotion") / "decision.json"))
    record = read_json(paths.champion_record) if paths.champion_record.exists() else None
    return {
        **_outcome(dataset, decision, "preview", (*decision.reasons, UNPUBLISHED)),
        "champion": record and record["version"],
        "candidate": None,
        "deployed": record and record["version"],
        "acting": record and {name: record[name] for name in ("acts", "forms")},
        "package": record and record["package"],
    }


def _outcome(dataset: str, decision, action: str, reasons: Sequence[str]) -> dict:
    """The part of a run's outcome that describes the decision."""
    gates = {"interest": decision.evidence.interest, "creatives": decision.evidence.creatives}
    return {
        "dataset": dataset,
        "action": action,
        "reasons": list(reasons),
        "lift": decision.lift,
        "unit": decision.evidence.reward.unit,
        "forms": {verdict.form: verdict.verdict for verdict in decision.forms},
        **{kind: gate.to_dict() if gate else None for kind, gate in gates.items()},
    }


def _check_judged(decision, paths: Paths) -> None:
    """UserError unless the stages' folders hold exactly the files that the decision was made about."""
    promotion = read_manifest(paths.stage("promotion"))
    inputs = {name: read_manifest(paths.stage(name)) for name in STAGES if promotion and name in promotion.inputs}
    altered = [
        name
        for name, manifest in {**inputs, "promotion": promotion}.items()
        if manifest is None or digest_tree(paths.stage(name)) != dict(manifest.outputs)
    ]
    altered += [
        name
        for name, manifest in inputs.items()
        if name not in altered and promotion.inputs[name] != digest_json(dict(manifest.outputs))
    ]
    if not altered and digest_package(paths.stage("promotion") / POLICY) != decision.evidence.candidate:
        altered = [POLICY]
    if altered:
        raise UserError(
            f"{paths.artifacts}: the files of {', '.join(altered)} are not the judged ones; nothing was "
            f"registered or moved. `adloom run {paths.artifacts.name}` makes them anew"
        )


def _models(dataset: str, settings: Settings, paths: Paths, gates: Mapping, tags: Mapping[str, str]) -> Iterator:
    """The records of the interest model and, with photos, of the generators."""

    interest, creatives = paths.stage("interest"), paths.stage("creatives")
    yield ModelRecord(
        name=f"{dataset}-interest",
        package=Path(interest / "model"),
        log_native=lambda: log_interest(interest / "model"),
        dataset=dataset,
        data_digest=_data_digest(paths),
        params=flat(settings.interest.model_dump(mode="json")),
        metrics=numbers(read_json(interest / "metrics.json")),
        tags=tags,
        reports=_report(paths, "interest"),
    )
    if gates["creatives"] is not None:
        yield ModelRecord(
            name=f"{dataset}-creatives",
            package=Path(creatives / "model"),
            log_native=lambda: log_generators(creatives / "model"),
            dataset=dataset,
            data_digest=_data_digest(paths),
            params=flat(settings.of_stage("creatives").model_dump(mode="json")),
            metrics=numbers(read_json(creatives / "metrics.json")),
            tags=tags,
            pictures=(Path(creatives / "boards"),),
            reports=_report(paths, "creatives"),
        )


def _policy(dataset: str, settings: Settings, paths: Paths, tags: Mapping[str, str]):

    package = paths.stage("promotion") / POLICY
    pictures = Path(paths.stage("evaluation") / "charts"), Path(paths.stage("creatives") / "boards")
    return ModelRecord(
        name=f"{dataset}-{POLICY}",
        package=Path(package),
        log_native=lambda: log_policy(Path(package)),
        dataset=dataset,
        data_digest=_data_digest(paths),
        params=flat({"evaluation": settings.evaluation.model_dump(mode="json"), **settings.promotion.model_dump()}),
        metrics=numbers(_estimates(read_json(paths.stage("promotion") / "decision.json")["evidence"]["forms"])),
        tags=tags,
        pictures=tuple(folder for folder in pictures if folder.exists()),
        reports={**_report(paths, "evaluation"), **_report(paths, "promotion")},
    )


def _estimates(forms: Sequence[Mapping]) -> dict:
    """The evaluation of each form on its largest log, by form."""
    return {record["form"]: record["logs"][0]["evaluation"] for record in forms if record["logs"]}


def _data_digest(paths: Paths) -> str:
    return read_manifest(paths.stage("validation")).inputs["data"]


def _report(paths: Paths, stage: str) -> dict[str, str]:
    page = paths.docs / f"{stage}.md"
    return {f"{stage}.md": page.read_text(encoding="utf-8")} if page.exists() else {}


def flat(value: object, prefix: str = "") -> dict[str, object]:
    """The leaves of nested mappings and lists, by dotted name."""
    if isinstance(value, dict):
        children = [flat(item, f"{prefix}.{key}" if prefix else str(key)) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        children = [flat(item, f"{prefix}.{index}") for index, item in enumerate(value)]
    else:
        return {prefix: value}
    return {name: leaf for child in children for name, leaf in child.items()}


def numbers(value: object) -> dict[str, float]:
    """The numeric leaves of a JSON value, by dotted name, as MLflow's metrics."""
    leaves = flat(value).items()
    return {name: float(leaf) for name, leaf in leaves if isinstance(leaf, int | float) and not isinstance(leaf, bool)}


def page(outcome: Mapping) -> str:
    """The outcome of a run as Markdown."""
    champion = "none" if outcome["champion"] is None else f"version {outcome['champion']}"
    lines = [f"# {outcome['dataset']}: {outcome['action']}", "", f"Champion: {champion}", ""]
    return "\n".join([*lines, *(f"- {markdown(reason)}" for reason in outcome["reasons"]), ""])
