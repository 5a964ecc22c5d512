"""Train the interest models, compare them on later rows, and choose the champion.

Models are trained on the `train` split and calibrated on `calibrate`. The `select` split chooses between them and gives
the champion's figures and its gate. Nothing here reads `judge`, which is for the evaluation of policies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from components.features import Features
from components.features.time_splits import CALIBRATE, SELECT, TRAIN
from components.interest.calibrated_model import CalibratedModel
from components.interest.calibration import fit_platt
from components.interest.metrics import BootstrapEstimate, calibration_error, log_losses, mean_by_shopper
from components.interest.model_kinds import MODEL_KINDS, model_kind, train_model
from components.interest.model_protocol import InterestModel, Pairs
from components.interest.predictions import logged_pairs
from components.settings.errors import UserError
from components.settings.sections import InterestConfig


@dataclass(frozen=True)
class SplitRows:
    """The rows of one split: pairs, clicks 0/1 float64 [n], and shopper ids [n]."""

    pairs: Pairs
    click: np.ndarray
    shopper_id: np.ndarray

    @classmethod
    def of(cls, features: Features, split: str) -> "SplitRows":
        """The consenting impressions of `split`, in order of time."""
        pairs, click = logged_pairs(features, split)
        return cls(pairs, click, pairs.impressions["shopper_id"].to_numpy()[pairs.row])


@dataclass(frozen=True)
class ModelReport:
    """Figures of a calibrated model on the select split. Losses are in nats per impression.

    base_rate: the click rate before that split; base_log_loss: the loss of predicting it for every impression; gain:
    base_log_loss - log_loss.
    """

    impressions: int
    clicks: int
    base_rate: float
    log_loss: float
    base_log_loss: float
    gain: BootstrapEstimate
    calibration_error: BootstrapEstimate
    mean_probability: float


@dataclass(frozen=True)
class CandidateModel:
    """One trained model. log_loss: on the select split; excess: its loss there minus the simplest model's."""

    name: str
    log_loss: float
    excess: BootstrapEstimate
    report: ModelReport


@dataclass(frozen=True)
class TrainedInterest:
    """The champion, all candidates (simplest first), and whether the champion passed its gate, with reasons.

    losses: of each candidate that was trained in epochs, the losses of each epoch by name, in nats per impression.
    """

    champion: CalibratedModel
    candidates: tuple[CandidateModel, ...]
    passed: bool
    reasons: tuple[str, ...]
    losses: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)

    @property
    def report(self) -> ModelReport:
        """The champion's figures on the select split."""
        return next(candidate.report for candidate in self.candidates if candidate.name == self.champion.name)

    def to_dict(self) -> dict:
        """Everything but the model itself and the losses, as JSON values."""
        return {
            "champion": self.champion.name,
            "calibration": asdict(self.champion.platt),
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "passed": self.passed,
            "reasons": list(self.reasons),
        }


def train_interest(features: Features, config: InterestConfig) -> TrainedInterest:
    """Train the models that `config` names and choose the champion (`choose_champion`).

    Raises UserError if a model's name is unknown, a split has no row, or training rows hold no click or only clicks.
    """
    names = _model_names(config)
    training, calibrating, selecting = (SplitRows.of(features, split) for split in (TRAIN, CALIBRATE, SELECT))
    _check_clicks(training)
    _check_has_rows(CALIBRATE, calibrating)
    _check_has_rows(SELECT, selecting)
    models = [train_model(name, features, training.pairs, training.click, config) for name in names]
    calibrated = [_calibrate(model, calibrating) for model in models]
    probabilities = [model.probabilities(selecting.pairs) for model in calibrated]
    losses = [log_losses(probability, selecting.click) for probability in probabilities]
    excess = [_mean(loss - losses[0], selecting, config) for loss in losses]
    base_rate = float(np.concatenate([training.click, calibrating.click]).mean())
    candidates = tuple(
        CandidateModel(
            model.name, float(loss.mean()), candidate_excess, _report(probability, selecting, base_rate, config)
        )
        for model, probability, loss, candidate_excess in zip(calibrated, probabilities, losses, excess, strict=True)
    )
    champion = choose_champion(candidates)
    passed, reasons = interest_gate(candidates[champion].report, config)
    curves = {model.name: steps for model in models if (steps := getattr(model, "losses", ()))}
    reasons = (_choice_reason(candidates, champion), *reasons)
    return TrainedInterest(calibrated[champion], candidates, passed, reasons, curves)


def train_calibrated(features: Features, name: str, config: InterestConfig) -> CalibratedModel:
    """One calibrated model of the kind `name`, without the comparison. Raises UserError as `train_interest` does."""
    training, calibrating = (SplitRows.of(features, split) for split in (TRAIN, CALIBRATE))
    _check_clicks(training)
    _check_has_rows(CALIBRATE, calibrating)
    return _calibrate(train_model(name, features, training.pairs, training.click, config), calibrating)


def choose_champion(candidates: tuple[CandidateModel, ...]) -> int:
    """Index of the champion: of the candidates whose excess has ci_high < 0 the one of least loss, else the first."""
    surely_better = [number for number, candidate in enumerate(candidates) if candidate.excess.ci_high < 0]
    return min(surely_better, key=lambda number: candidates[number].log_loss, default=0)


def _model_names(config: InterestConfig) -> list[str]:
    """Names of the models to train, in the order of MODEL_KINDS (simplest first)."""
    for name in config.models:
        model_kind(name)
    if not config.models:
        raise UserError(f"interest.models is empty: name at least one of {', '.join(MODEL_KINDS)}")
    return [name for name in MODEL_KINDS if name in config.models]


def _check_clicks(training: SplitRows) -> None:
    clicks = int(training.click.sum())
    if clicks == 0 or clicks == len(training.click):
        missing = "no click" if clicks == 0 else "no impression without a click"
        raise UserError(
            f"impressions: {len(training.click)} consenting rows before training ends hold {missing}: nothing can be "
            "learned (features.train_share sets the share of the time to train on)"
        )


def _check_has_rows(split: str, rows: SplitRows) -> None:
    if not len(rows.click):
        raise UserError(
            f"impressions: no row of a consenting shopper in the time of {split}: the log has a pause there, or "
            "features.train_share, features.calibration_share and features.select_share leave too little time for it"
        )


def _calibrate(model: InterestModel, rows: SplitRows) -> CalibratedModel:
    return CalibratedModel(model, fit_platt(model.logits(rows.pairs), rows.click), rows.pairs.names)


def _report(probability: np.ndarray, rows: SplitRows, base_rate: float, config: InterestConfig) -> ModelReport:
    loss = log_losses(probability, rows.click)
    base = log_losses(np.full(len(loss), base_rate), rows.click)
    return ModelReport(
        impressions=len(loss),
        clicks=int(rows.click.sum()),
        base_rate=base_rate,
        log_loss=float(loss.mean()),
        base_log_loss=float(base.mean()),
        gain=_mean(base - loss, rows, config),
        calibration_error=calibration_error(probability, rows.click, rows.shopper_id, config.bootstrap, config.seed),
        mean_probability=float(probability.mean()),
    )


def _mean(values: np.ndarray, rows: SplitRows, config: InterestConfig) -> BootstrapEstimate:
    return mean_by_shopper(values, rows.shopper_id, config.bootstrap, config.seed)


def _choice_reason(candidates: tuple[CandidateModel, ...], champion: int) -> str:
    if len(candidates) == 1:
        return f"{candidates[0].name} is the only model trained"
    others = [candidate for candidate in candidates[1:] if candidate.excess.ci_high >= 0]
    if champion:
        best = candidates[champion]
        return f"{best.name} beats {candidates[0].name} by {-best.excess.value:.6f} nats per impression, surely"
    names = ", ".join(candidate.name for candidate in others)
    return f"{candidates[0].name} is kept: {names} is not surely better on the select slice"


def interest_gate(report: ModelReport, config: InterestConfig) -> tuple[bool, tuple[str, ...]]:
    """Whether a model with this report passes the gate, and the reasons if it does not."""
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
