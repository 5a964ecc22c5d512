"""The report of a run as HTML pages, report.html and report.zh.html, which link to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.contract.files.tables import write_text
from components.contract.origins import PRODUCT_ADS
from components.registry.mlflow_store import log_files
from components.settings.paths import Paths
from components.workflow.publishing.deployed_policy import POLICY
from components.workflow.run_report.report_facts import FormLift, Interval, RunReport, ShownAd, read_report

PAGES = {"en": "report.html", "zh": "report.zh.html"}
FOLDER = Path(__file__).parent
# factor and sign of a metric's unit; the others are money or numbers as they are
METRIC_UNITS = {"cvr": (100.0, " %"), "revenue_per_impression": (1000.0, ""), "negative_feedback": (1000.0, "")}
ROOM = 0.05  # of a scale, beyond the outermost bounds
Row = tuple[str, str, int, Interval]  # heading above it or "", label, impressions, interval


def write_report(outcome: Mapping[str, Any], paths: Paths) -> str:
    """Write the report of the run that ended in `outcome`, in every language; the file of the English one.

    The candidate's MLflow run gets the pages too, if this run registered one.
    """
    report = read_report(outcome, paths)
    files = [paths.docs / name for name in PAGES.values()]
    for language, file in zip(PAGES, files, strict=True):
        write_text(report_page(report, language), file)
    if outcome["candidate"] is not None:
        log_files(f"{outcome['dataset']}-{POLICY}", outcome["candidate"], [Path(file) for file in files], "report")
    return str(files[0])


def report_page(report: RunReport, language: str) -> str:
    """The page in a language of PAGES. Texts of data and of users are escaped."""
    other = next(name for name in PAGES if name != language)
    quality = {name: values for name, values in report.quality.items() if values}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            **_forests(report, language),
            report=report,
            language=language,
            other=other,
            other_file=PAGES[other],
            words=_words(),
            say=partial(_say, language),
            unit=report.unit,
            form_name=partial(_form_name, language),
            extremes=partial(_extremes, language),
            quality=quality,
            quality_figures=list(dict.fromkeys(name for values in quality.values() for name in values)),
            ends_at=f"{report.card.ends_at:%Y-%m-%d %H:%M} UTC",
            real_photos=PRODUCT_ADS,
            figure=_figure,
            percent=_percent,
            in_units=_in_units,
            change=_change,
        )
    )


def _forests(report: RunReport, language: str) -> dict[str, Any]:
    """The form that the page is about, and the rows and scales of its charts of intervals."""
    acting = _acting(report)
    lifts: list[Row] = [
        ("", f"{_form_name(language, form.form)}: {_say(language, form.verdict)}", form.impressions, form.lift)
        for form in report.forms
        if form.lift
    ]
    effects = acting.effects if acting else ()
    segments: list[Row] = [
        ("", f"{_say(language, 'segment')} {level}", count, interval)
        for kind, level, count, interval in effects
        if kind == "segment"
    ]
    elements = _with_headings([effect for effect in effects if effect[0] != "segment"])
    return {
        "acting": acting,
        "lifts": lifts,
        "lift_scale": Scale.of([row[3] for row in lifts]),
        "segment_rows": segments,
        "element_rows": elements,
        "effect_scale": Scale.of([row[3] for row in (*segments, *elements)]),
    }


def _say(language: str, name: str, /, **values: object) -> str:
    """The words called `name` in a language, with `values` in their slots; `name` itself if it has no words."""
    return _words()[name][language].format(**values) if name in _words() else name


def _form_name(language: str, form: str) -> str:
    return _say(language, {"table": "table_form"}.get(form, form))


def _extremes(language: str, ad: ShownAd) -> list[str]:
    """The best and the worst segment of an ad, with the expected clicks per 1,000 impressions."""
    order = sorted(range(len(ad.expected)), key=lambda segment: -ad.expected[segment])
    shown = dict.fromkeys((order[0], order[-1]))
    return [_say(language, "best", segment=segment, clicks=f"{ad.expected[segment]:.1f}") for segment in shown]


@dataclass(frozen=True)
class Scale:
    """A linear scale from `low` to `high`, in per cent of a track's width."""

    low: float
    high: float

    @classmethod
    def of(cls, intervals: Sequence[Interval]) -> "Scale":
        """The scale that holds all intervals, their truths and zero."""
        ends = [0.0]
        for interval in intervals:
            ends += [interval.ci_low, interval.ci_high, *([] if interval.truth is None else [interval.truth])]
        room = ROOM * (max(ends) - min(ends) or 1.0)
        return cls(min(ends) - room, max(ends) + room)

    def at(self, value: float) -> str:
        """The place of a value, from 0 to 100."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}"

    def width(self, interval: Interval) -> str:
        """The width of an interval."""
        return f"{100 * (interval.ci_high - interval.ci_low) / (self.high - self.low):.2f}"


def _acting(report: RunReport) -> FormLift | None:
    """The form that acts if the policy was promoted; else the first one that passed, or that has a lift."""
    acts = (report.outcome.get("acting") or {}).get("acts") if report.outcome["action"] == "promote" else None
    known = sorted(report.forms, key=lambda form: (form.form != acts, form.verdict != "passed", form.lift is None))
    return next(iter(known), None)


def _with_headings(effects: Sequence[Row]) -> list[Row]:
    """The effects with the name of their kind above the first of each kind."""
    rows: list[Row] = []
    shown = ""
    for kind, level, count, interval in effects:
        rows.append((kind.replace("_", " ") if kind != shown else "", level, count, interval))
        shown = kind
    return rows


def _figure(interval: Interval) -> str:
    return f"{interval.value:+.2f} [{interval.ci_low:+.2f}, {interval.ci_high:+.2f}]"


def _percent(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    value, low, high = (round(number) for number in (interval.value, interval.ci_low, interval.ci_high))
    return f"{value:+d} % [{low:+d}, {high:+d}]"


def _in_units(record: Mapping[str, float] | None, name: str) -> str:
    """A metric with its interval, in the unit that its words name."""
    if record is None:
        return "–"
    factor, sign = METRIC_UNITS.get(name, (1.0, ""))
    value, low, high = (_rounded(factor * record[key]) for key in ("value", "ci_low", "ci_high"))
    return f"{value}{sign} [{low}, {high}]"


def _rounded(value: float) -> str:
    """As many decimals as people read: three below 1, two below 100, none from there."""
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return f"{value:,.{decimals}f}"


def _change(record: Mapping[str, float] | None) -> str:
    return "–" if record is None else _percent(Interval.of(record, 100.0))


@cache
def _words() -> dict[str, dict[str, str]]:
    return yaml.safe_load((FOLDER / "report_words.yaml").read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
