"""The export for an ad server, with the files of the champion's package byte for byte, and its reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from upath import UPath

from components.ads.rendering.image_formats import FORMATS, converted
from components.contract.files.atomic_files import replace_folder, scratch_folder
from components.contract.files.digests import digest_bytes, digest_json, digest_package, digest_tree
from components.contract.files.tables import read_frame, read_json, write_bytes, write_json
from components.policies.logging_preference import logging_policy_name
from components.policies.policy_package import (
    CATALOGUE_FILE,
    DECISIONS_FILE,
    PARAMETERS_FILE,
    PER_SHOPPER,
    REASONS_FILE,
    SCORES_FILE,
    SEGMENTS_FILE,
    TABLE,
    PolicyPackage,
)
from components.registry.locks import folder_lock
from components.registry.mlflow_store import digest_of, fetch_package, open_store
from components.registry.refresh_records import Deployed, deployed
from components.registry.signing import signature_path, verify
from components.registry.unreadable_champion import reading_champion
from components.settings.errors import UserError
from components.settings.paths import Paths
from components.workflow.advance import ShopPolicy
from components.workflow.creative_review import rejected_keys, withdrawn
from components.workflow.publishing.deployed_policy import POLICY, ads_of, read_package
from components.workflow.publishing.publication import RUN

MANIFEST = "manifest.json"
EXPERIMENT = ("experiment.json", "experiment.md")
POOL = ("creatives", "images")  # tables of a package that join the shop when it acts


def export(outcome: Mapping, paths: Paths) -> None:
    """Write the forms that may act of what is deployed, its catalogue, new ads, the experiment plan and a manifest.

    Deployed is the champion, or a refit of it that acts. Its files are this run's package, or the champion's snapshot,
    else they are fetched. Without a champion nothing is written. UserError, with the export unchanged, if the files are
    not the registered ones.
    """
    if outcome["deployed"] is None:
        return
    is_candidate = outcome["deployed"] == outcome["candidate"]
    if not is_candidate and outcome["deployed"] != outcome["champion"]:
        renew_export(outcome["dataset"], paths)
        return
    with folder_lock(Path(paths.artifacts), RUN):
        if not is_candidate:
            verify(
                Path(paths.champion),
                f"{outcome['dataset']}-{POLICY}",
                signature_path(Path(paths.champion)),
                str(paths.champion),
            )
        package = paths.stage("promotion") / POLICY if is_candidate else paths.champion
        _export(outcome, package, paths.export, _experiment(outcome, paths))


def renew_export(dataset: str, paths: Paths) -> bool:
    """Export the registry's present champion; whether anything was exported.

    Only if there is an export or a candidate in these artifacts. The champion's files are fetched to a scratch folder,
    because a run in progress may be judging against the snapshot.
    """

    if not paths.export.exists() and not (paths.stage("promotion") / POLICY).exists():
        return False
    acting = deployed(open_store(), f"{dataset}-{POLICY}")
    with folder_lock(Path(paths.artifacts), "an export"), scratch_folder(paths.champion) as scratch:
        outcome, package = _fetched(dataset, acting, scratch)
        _export(outcome, package, paths.export, _experiment(outcome, paths))
    return True


def export_to(out: UPath, dataset: str, paths: Paths, image_format: str = "png") -> dict:
    """Write the registry's champion to the folder `out`, with its ads in `image_format`; the manifest.

    An earlier export in `out` is replaced, and equal champions give equal bytes. UserError if there is no champion, or
    `out` has other content.
    """
    acting = deployed(open_store(), f"{dataset}-{POLICY}")
    if acting is None:
        raise UserError(f"{dataset}-{POLICY} has no champion; `adloom run {dataset}` judges a policy, and promotes it")
    _check_replaceable(out, dataset)
    with scratch_folder(out) as scratch:
        outcome, package = _fetched(dataset, acting, scratch)
        _export(outcome, package, out, _experiment(outcome, paths), image_format=image_format)
    return read_json(out / MANIFEST)


def _fetched(dataset: str, acting: Deployed, scratch: UPath) -> tuple[dict, UPath]:
    """The outcome that `_export` reads, and the verified package of what acts in the folder `scratch`."""
    package = scratch / POLICY
    fetch_package(acting.version, Path(package))
    digest = digest_of(acting.version)
    outcome = {"deployed": acting.version.number, "candidate": None, "acting": acting.forms, "package": digest}
    return {"dataset": dataset, **outcome}, package


def _check_replaceable(out: UPath, dataset: str) -> None:
    """UserError unless `out` is absent, an empty folder, or an export of the data set."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"--out {out}: is a file, not a folder")
    manifest = read_json(out / MANIFEST) if (out / MANIFEST).exists() else {}
    if any(out.iterdir()) and not ("policy_version" in manifest and manifest.get("dataset") == dataset):
        raise UserError(f"--out {out}: is not empty and holds no export of {dataset}; name another folder")


# files and folders of the package that a server needs: for every form, and for each
ALWAYS = (PARAMETERS_FILE, CATALOGUE_FILE)
FORM_FILES = {"table": (DECISIONS_FILE, SEGMENTS_FILE), "per_shopper": ("model",)}
SCORE_FILES = (SCORES_FILE, SEGMENTS_FILE)  # for per_shopper in place of a model, if the policy has scores
RULE = (
    "Look up the shopper's segment in segments.parquet (`any` if it is not there), then the cell of segment, placement "
    "and campaign in decisions.parquet; with no such cell, that of segment `any`; then that of placement `any` too. "
    "Keep the creatives that are eligible and active now by catalogue.parquet; their probabilities, divided by their "
    "sum, get (1 - exploration), and the rest is shared evenly among them. Of new creatives (`new`), those that are "
    "eligible share new_share evenly, and the others keep the rest. Creatives in `withdrawn` are not eligible: people "
    "rejected them."
)


def _export(
    outcome: Mapping, package: UPath, target: UPath, experiment: Mapping[str, bytes], *, image_format: str = "png"
) -> None:
    """Replace the folder `target` with the files of the champion's `package` and its experiment plan, atomically."""
    registered = digest_tree(package)
    if digest_json(registered) != outcome["package"]:
        raise UserError(
            f"{package}: these are not the registered files of version {outcome['deployed']}; nothing was exported. "
            f"`adloom run {outcome['dataset']}` makes or fetches them anew"
        )
    acting = outcome["acting"]
    with reading_champion(f"{outcome['dataset']}-{POLICY}", outcome["deployed"]):
        acts = acting["acts"] or read_package(package).parameters.forms[0]
    forms = acting["forms"] or [acts]
    with scratch_folder(target) as fresh:
        for name in (*ALWAYS, *(file for form in forms for file in _files_for(form, package))):
            _copy(package, name, fresh)
        copied = digest_tree(fresh)
        gone = withdrawn(package, rejected_keys(open_store(), f"{outcome['dataset']}-{POLICY}"))
        ads, drawn = _copy_ads(package, fresh, image_format, gone)
        altered = sorted(name for name, digest in {**copied, **drawn}.items() if registered.get(name) != digest)
        if altered:
            raise UserError(
                f"{package}: {', '.join(altered)} changed while it was being exported; nothing was exported"
            )
        for name, content in experiment.items():
            write_bytes(content, fresh / name)
        manifest = {
            "policy_version": outcome["deployed"],
            "dataset": outcome["dataset"],
            "package": outcome["package"],
            "forms": forms,
            "acts": acts,
            "logging_policy": f"{logging_policy_name(outcome['package'])}-{acts}",
            "rule": RULE,
            "ads": ads,
            "withdrawn": list(gone),
            "files": digest_tree(fresh),
        }
        write_json(manifest, fresh / MANIFEST)
        replace_folder(fresh, target)


def _copy_ads(
    package: UPath, fresh: UPath, image_format: str, gone: Sequence[str]
) -> tuple[dict[str, dict], dict[str, str]]:
    """Write the package's ads to `fresh`, without those of the creatives `gone`.

    By new file name what `ads_of` says; each ad's digest.
    """
    ads, drawn = {}, {}
    for name, ad in ads_of(package).items():
        if ad["creative_id"] in gone:
            continue
        png = (package / "pool" / "ads" / name).read_bytes()
        drawn[f"pool/ads/{name}"] = digest_bytes(png)
        file = f"{Path(name).stem}.{FORMATS[image_format][0]}"
        ads[file] = ad
        write_bytes(converted(png, image_format), fresh / "ads" / file)
    return ads, drawn


def _files_for(form: str, package: UPath) -> tuple[str, ...]:
    has_scores = form == PER_SHOPPER and (package / SCORES_FILE).exists()
    if form == TABLE and (package / REASONS_FILE).exists():
        return (*FORM_FILES[form], REASONS_FILE)
    return SCORE_FILES if has_scores else FORM_FILES[form]


def _copy(package: UPath, name: str, folder: UPath) -> None:
    source = package / name
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    for file in files:
        write_bytes(file.read_bytes(), folder / file.relative_to(package).as_posix())


def exported_policy(paths: Paths):
    """The exported champion, for the simulated shop to act on; None if nothing is exported.

    UserError if the package of the export is gone, or the form that acts needs a server.
    """

    if not (paths.export / MANIFEST).exists():
        return None
    manifest = read_json(paths.export / MANIFEST)
    if manifest.get("acts") != TABLE:
        raise UserError(
            f"{paths.export}: the champion acts as {manifest.get('acts')}, because its table did not pass, and the "
            "simulated shop can look up a table only. `adloom data advance` works when a table has passed, or when "
            "nothing is exported"
        )
    package = _package_of(manifest, paths)
    files = {file.name: file.read_bytes() for file in paths.export.iterdir() if file.is_file()}
    judged = digest_tree(package)
    altered = sorted(name for name in files if name in judged and digest_bytes(files[name]) != judged[name])
    if altered:
        raise UserError(f"{paths.export}: {', '.join(altered)} differ from the package; {_again(paths)}")
    with reading_champion(f"{paths.artifacts.name}-{POLICY}", manifest["policy_version"]):
        table = PolicyPackage.from_files(files).table
    pool = {name: read_frame(package / "pool" / f"{name}.parquet") for name in POOL if (package / "pool").exists()}
    return ShopPolicy(manifest["logging_policy"], table.probabilities, pool)


def _package_of(manifest: Mapping, paths: Paths) -> UPath:
    for package in (paths.stage("promotion") / POLICY, paths.champion):
        if package.exists() and digest_package(package) == manifest["package"]:
            return package
    raise UserError(f"{paths.export}: the package of this export is no longer in {paths.artifacts}; {_again(paths)}")


def _again(paths: Paths) -> str:
    return f"`adloom run {paths.artifacts.name}` restores it"


def _experiment(outcome: Mapping, paths: Paths) -> dict[str, bytes]:
    """The files of the champion's experiment plan, from the run that promoted it or the last export; empty if lost."""
    manifest = paths.export / MANIFEST
    is_exported = manifest.exists() and read_json(manifest)["policy_version"] == outcome["deployed"]
    plan = paths.stage("promotion") / EXPERIMENT[0]
    is_new = plan.exists() and (
        outcome["deployed"] == outcome["candidate"] or read_json(plan)["treatment"] == outcome["package"]
    )
    folder = paths.stage("promotion") if is_new else paths.export if is_exported else None
    files = [] if folder is None else [folder / name for name in EXPERIMENT]
    return {file.name: file.read_bytes() for file in files if file.exists()}
