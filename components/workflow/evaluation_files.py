"""The files of the stage evaluation: the record that the gate reads, charts, and the report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from components.contract.escaping import markdown
from components.contract.files.tables import write_text
from components.evaluation.judging import Judgement
from components.evaluation.reports.evaluation_report import chart_name, interval_chart, page
from components.evaluation.rewards import Reward
from components.policies.policy_choice import ChosenPolicy
from components.settings.paths import Paths
from components.settings.sections import EvaluationConfig
from components.workflow.pages.evaluation_page import candidates, estimates, slice_judged, temperatures, truth
from components.workflow.stage_outputs import Outputs


@dataclass(frozen=True)
class EvaluationRecord:
    """forms: each form's judgement. chosen: the policy, with the lift of each candidate and temperature.

    judged: whether the figures are of the judged rows. conversion_window_days, simulated: of the data set.
    """

    forms: Mapping[str, Judgement]
    chosen: ChosenPolicy
    judged: bool
    reward: Reward
    conversion_window_days: int
    simulated: bool


def write_evaluation(record: EvaluationRecord, config: EvaluationConfig, paths: Paths, out: Outputs) -> None:
    """Write evaluation.json, truth.json, estimates.csv, a chart per form and log, and the report."""
    guards = {"guard_bound": config.guard_bound, "segment_bound": config.segment_bound}
    forms = [{"form": form, "guards": guards, **judgement.to_dict()} for form, judgement in record.forms.items()]
    forecasts = {form: [asdict(forecast) for forecast in of_form] for form, of_form in record.chosen.forecasts.items()}
    compared = [asdict(candidate) for candidate in record.chosen.compared]
    document = {
        "judged": record.judged,
        "reward": asdict(record.reward),
        "conversion_window_days": record.conversion_window_days,
        "forms": forms,
        "temperatures": forecasts,
        "candidates": compared,
    }
    out.json("evaluation.json", document)
    out.json("truth.json", {form: judgement.truths for form, judgement in record.forms.items()})
    out.text("estimates.csv", estimates(forms))
    unit = record.reward.unit
    report = [slice_judged(record.judged, unit)]
    for form, judgement in record.forms.items():
        for name, assessment in judgement.assessments.items():
            truths = judgement.truths[name]
            true_values = truth(truths, unit, record.simulated)
            report.append(f"# {form}, on the log of {markdown(name)}\n\n{page(assessment, unit)}{true_values}")
            chart = interval_chart(assessment.evaluation, truths and truths["target"])
            out.file(f"charts/{chart_name(form, name)}", chart)
    objective = config.policy.objective
    if len(compared) > 1:
        report.append(candidates(compared, objective))
    report.append(temperatures(record.chosen.policy.parameters.temperatures, forecasts, objective))
    write_text("\n".join(report), paths.docs / "evaluation.md")
