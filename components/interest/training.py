"""Features -> the models of interest, compared on time that none has seen, and the champion with its figures.

Three stretches of time, three uses: `train` teaches, `calibrate` calibrates, `select` chooses between the models and is
what the champion's figures and its gate are of. `judge` is left to the evaluation of policies: nothing here reads it.
"""

from dataclasses import asdict, dataclass

import numpy as np

from components.features import Features
from components.features.time_splits import CALIBRATE, SELECT, TRAIN
from components.interest.calibrated_model import CalibratedModel
from components.interest.calibration import fit_platt
from components.interest.metrics import Estimate, calibration_error, log_losses, mean_by_shopper
from components.interest.model_kinds import KINDS, kind_of, train_kind
from components.interest.model_protocol import InterestModel, Pairs
from components.interest.predictions import logged_pairs
from components.settings.errors import UserError
from components.settings.sections import InterestConfig


@dataclass(frozen=True)
class Rows:
    """One split: its pairs, clicks 0/1 float64 [n], and the shopper of each row."""

    pairs: Pairs
    click: np.ndarray
    shopper_id: np.ndarray

    @classmethod
    def of(cls, features: Features, split: str) -> "Rows":
        """The consenting impressions of `split`, in order of time."""
        pairs, click = logged_pairs(features, split)
        return cls(pairs, click, pairs.impressions["shopper_id"].to_numpy()[pairs.row])


@dataclass(frozen=True)
class Report:
    """How a calibrated model does on later rows. Losses in nats per impression; gain: base rate's minus model's.

    base_rate: the click rate before that time, which the base log loss predicts for everyone.
    """

    impressions: int
    clicks: int
    base_rate: float
    log_loss: float
    base_log_loss: float
    gain: Estimate
    calibration_error: Estimate
    mean_probability: float


@dataclass(frozen=True)
class Candidate:
    """One trained model. log_loss: on the select slice; excess: its loss there minus the simplest model's."""

    name: str
    log_loss: float
    excess: Estimate
    report: Report


@dataclass(frozen=True)
class Interest:
    """The champion, all candidates in order of simplicity, and whether it may be registered as fit for use."""

    champion: CalibratedModel
    candidates: tuple[Candidate, ...]
    passed: bool
    reasons: tuple[str, ...]

    @property
    def report(self) -> Report:
        """The champion's figures on the select slice."""
        return next(candidate.report for candidate in self.candidates if candidate.name == self.champion.name)

    def to_dict(self) -> dict:
        """Everything but the model itself, ready for JSON."""
        return {
            "champion": self.champion.name,
            "calibration": asdict(self.champion.platt),
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "passed": self.passed,
            "reasons": list(self.reasons),
        }


def train_interest(features: Features, config: InterestConfig) -> Interest:
    """Features -> champion and figures. Another model takes the simplest one's place only if its excess is surely < 0.

    Raises UserError where a model's name is unknown, training has no click to learn from, or a split no impression.
    """
    names = _names(config)
    taught, calibrating, selecting = (Rows.of(features, split) for split in (TRAIN, CALIBRATE, SELECT))
    _check(taught)
    _check_seen(CALIBRATE, calibrating)
    _check_seen(SELECT, selecting)
    models = [train_kind(name, features, taught.pairs, taught.click, config) for name in names]
    calibrated = [_calibrate(model, calibrating) for model in models]
    probabilities = [model.probabilities(selecting.pairs) for model in calibrated]
    losses = [log_losses(probability, selecting.click) for probability in probabilities]
    excess = [_mean(loss - losses[0], selecting, config) for loss in losses]
    base_rate = float(np.concatenate([taught.click, calibrating.click]).mean())
    candidates = tuple(
        Candidate(model.name, float(loss.mean()), over, _report(probability, selecting, base_rate, config))
        for model, probability, loss, over in zip(calibrated, probabilities, losses, excess, strict=True)
    )
    chosen = choose(candidates)
    passed, reasons = gate(candidates[chosen].report, config)
    return Interest(calibrated[chosen], candidates, passed, (_why(candidates, chosen), *reasons))


def train_calibrated(features: Features, name: str, config: InterestConfig) -> CalibratedModel:
    """Features -> one calibrated model of the kind `name`, not judged. Raises UserError as `train_interest` does."""
    taught, calibrating = (Rows.of(features, split) for split in (TRAIN, CALIBRATE))
    _check(taught)
    _check_seen(CALIBRATE, calibrating)
    return _calibrate(train_kind(name, features, taught.pairs, taught.click, config), calibrating)


def choose(candidates: tuple[Candidate, ...]) -> int:
    """Candidates, simplest first -> the number of the champion: the best of those surely better than the simplest."""
    surely = [number for number, candidate in enumerate(candidates) if candidate.excess.ci_high < 0]
    return min(surely, key=lambda number: candidates[number].log_loss, default=0)


def _names(config: InterestConfig) -> list[str]:
    """The models to train, simplest first whatever the order in the settings."""
    for name in config.models:
        kind_of(name)
    if not config.models:
        raise UserError(f"interest.models is empty: name at least one of {', '.join(KINDS)}")
    return [name for name in KINDS if name in config.models]


def _check(taught: Rows) -> None:
    clicks = int(taught.click.sum())
    if clicks == 0 or clicks == len(taught.click):
        what = "no click" if clicks == 0 else "no impression without a click"
        raise UserError(
            f"impressions: {len(taught.click)} consenting rows before training ends hold {what}: nothing can be "
            "learned (features.train_share sets how much of the time teaches)"
        )


def _check_seen(split: str, rows: Rows) -> None:
    if not len(rows.click):
        raise UserError(
            f"impressions: no row of a consenting shopper in the time of {split}: the log pauses there, or "
            "features.train_share, features.calibration_share and features.select_share leave it too little time"
        )


def _calibrate(model: InterestModel, rows: Rows) -> CalibratedModel:
    return CalibratedModel(model, fit_platt(model.logits(rows.pairs), rows.click), rows.pairs.names)


def _report(probability: np.ndarray, rows: Rows, base_rate: float, config: InterestConfig) -> Report:
    loss = log_losses(probability, rows.click)
    base = log_losses(np.full(len(loss), base_rate), rows.click)
    return Report(
        impressions=len(loss),
        clicks=int(rows.click.sum()),
        base_rate=base_rate,
        log_loss=float(loss.mean()),
        base_log_loss=float(base.mean()),
        gain=_mean(base - loss, rows, config),
        calibration_error=calibration_error(probability, rows.click, rows.shopper_id, config.bootstrap, config.seed),
        mean_probability=float(probability.mean()),
    )


def _mean(values: np.ndarray, rows: Rows, config: InterestConfig) -> Estimate:
    return mean_by_shopper(values, rows.shopper_id, config.bootstrap, config.seed)


def _why(candidates: tuple[Candidate, ...], chosen: int) -> str:
    if len(candidates) == 1:
        return f"{candidates[0].name} is the only model trained"
    others = [candidate for candidate in candidates[1:] if candidate.excess.ci_high >= 0]
    if chosen:
        best = candidates[chosen]
        return f"{best.name} beats {candidates[0].name} by {-best.excess.value:.6f} nats per impression, surely"
    named = ", ".join(candidate.name for candidate in others)
    return f"{candidates[0].name} is kept: {named} is not surely better on the select slice"


def gate(report: Report, config: InterestConfig) -> tuple[bool, tuple[str, ...]]:
    """A champion's report -> whether it is fit for use, and in words why not."""
    faults = []
    if report.gain.ci_low <= 0:
        faults.append(
            f"its log loss {report.log_loss:.5f} is not surely below the base rate's {report.base_log_loss:.5f}"
        )
    if report.calibration_error.value > config.max_calibration_error:
        faults.append(
            f"its calibration error {report.calibration_error.value:.4f} exceeds "
            f"interest.max_calibration_error {config.max_calibration_error}"
        )
    return not faults, tuple(faults)
