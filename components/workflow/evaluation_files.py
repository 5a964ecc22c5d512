"""What the stage evaluation found -> its files: the record that the gate reads, charts, and the page for people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from components.contract.escaping import markdown
from components.contract.files.tables import write_text
from components.evaluation.judging import Judgement
from components.evaluation.reports.evaluation_report import page, picture, picture_name
from components.evaluation.rewards import Reward
from components.policies.temperature import LiftForecast
from components.settings.paths import Paths
from components.settings.sections import EvaluationConfig
from components.workflow import pages
from components.workflow.stage_outputs import Outputs


@dataclass(frozen=True)
class EvaluationRecord:
    """forms: each form's judgement. promised: what each temperature promised it. temperatures: the chosen ones.

    judged: whether the judged rows were looked at. conversion_window_days, simulated: of the data set.
    """

    forms: Mapping[str, Judgement]
    promised: Mapping[str, Sequence[LiftForecast]]
    temperatures: Mapping[str, float]
    judged: bool
    reward: Reward
    conversion_window_days: int
    simulated: bool


def write_evaluation(record: EvaluationRecord, config: EvaluationConfig, paths: Paths, out: Outputs) -> None:
    """Write evaluation.json, truth.json, estimates.csv, a chart per form and log, and the page."""
    guards = {"guard_bound": config.guard_bound, "segment_bound": config.segment_bound}
    forms = [{"form": form, "guards": guards, **judgement.to_dict()} for form, judgement in record.forms.items()]
    offered = {form: [asdict(prospect) for prospect in promised] for form, promised in record.promised.items()}
    reward, window = asdict(record.reward), record.conversion_window_days
    noted = {"judged": record.judged, "reward": reward, "conversion_window_days": window}
    out.json("evaluation.json", {**noted, "forms": forms, "temperatures": offered})
    out.json("truth.json", {form: judgement.truths for form, judgement in record.forms.items()})
    out.text("estimates.csv", pages.estimates(forms))
    unit = record.reward.unit
    report = [pages.slice_judged(record.judged, unit)]
    for form, judgement in record.forms.items():
        for name, assessment in judgement.logs.items():
            truths = judgement.truths[name]
            known = pages.truth(truths, unit, record.simulated)
            report.append(f"# {form}, on what {markdown(name)} logged\n\n{page(assessment, unit)}{known}")
            chart = picture(assessment.evaluation, truths and truths["target"])
            out.file(f"pictures/{picture_name(form, name)}", chart)
    report.append(pages.temperatures(record.temperatures, offered))
    write_text("\n".join(report), paths.docs / "evaluation.md")
