"""Pages about a validation: a summary in Markdown, and Data Docs that need no network.

Great Expectations renders the sections of each table's page. Its own site loads styles and scripts from the internet,
advertises a newsletter and shows unstyled text without a network. So its sections are put into Adloom's own pages,
below the reasons, which its pages leave out.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from upath import UPath

from components.contract.escaping import markdown, web
from components.contract.files.tables import write_text
from components.contract.validation.data_report import DataRefused, DataReport, TableReport
from components.contract.validation.stylesheet import STYLE
from components.contract.validation.suites import read_suite

if TYPE_CHECKING:
    from components.contract.validation.validate import Validated

HEADINGS = ("table", "rows", "duplicates dropped", "quarantined", "share", "kept", "rules checked", "rules broken")
WORST_CREATIVES = 10


def render_data_docs(found: "Validated | DataRefused", folder: UPath) -> UPath:
    """The path of `index.html`, written to `folder` with a page per table, for a passed or refused validation."""
    folder = UPath(folder)
    for table in found.report.tables:
        records = found.results.get(table.table, ())
        write_text(_table_page(found.report, table, records), folder / f"{table.table}.html")
    index = folder / "index.html"
    write_text(_index_page(found), index)
    return index


def summary_page(report: DataReport) -> str:
    """The summary in Markdown: rows read, rows in quarantine and why, rules that could not be checked."""
    lines = ["# Validation", "", "| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    lines += ["| " + " | ".join(_cells(table)) + " |" for table in report.tables]
    for heading, items in _lists(report):
        lines += ["", f"## {heading}", "", *(f"- {markdown(item)}" for item in items)]
    return "\n".join(lines) + "\n"


def _cells(table: TableReport) -> tuple[str, ...]:
    figures = (table.rows, table.duplicates, table.quarantined)
    counts = (table.kept, table.rules, len(table.broken))
    return (table.table, *(f"{one:,}" for one in figures), f"{table.share:.2%}", *(f"{one:,}" for one in counts))


def _lists(report: DataReport) -> list[tuple[str, list[str]]]:
    """(heading, items) of each list that is not empty."""
    broken = [
        f"{table.table}: {rule.reason} ({_rows(rule.rows)}"
        f"{'; for example ' + ', '.join(rule.examples) if rule.examples else ''})"
        for table in report.tables
        for rule in table.broken
    ]
    hit = sorted(
        (one for one in report.actions if one.quarantined), key=lambda one: (-one.quarantined, one.creative_id)
    )
    creatives = [
        f"{one.creative_id}: {one.quarantined:,} of {one.impressions:,} impressions" for one in hit[:WORST_CREATIVES]
    ]
    absent = [f"{name}: {consequence}" for name, consequence in report.absent.items()]
    unchecked = [f"{one.table}: “{one.reason}”, because {one.why}" for one in report.unchecked]
    found = [
        ("Broken rules", broken),
        ("Creatives that lost most impressions to quarantine", creatives),
        ("Missing tables", absent),
        ("Rules that could not be checked", unchecked),
    ]
    return [(heading, items) for heading, items in found if items]


def _rows(count: int) -> str:
    return "the table" if count == 0 else "1 row" if count == 1 else f"{count:,} rows"


def _index_page(found: "Validated | DataRefused") -> str:
    report = found.report
    refused = isinstance(found, DataRefused)
    verdict = f'<p class="bad">Refused: {web(str(found))}</p>' if refused else '<p class="ok">Accepted</p>'
    rows = [(f'<a href="{table.table}.html">{table.table}</a>', *_cells(table)[1:]) for table in report.tables]
    parts = [f"<h1>Data set {web(report.dataset)}</h1>", verdict, _table(HEADINGS, rows)]
    for heading, items in _lists(report):
        parts.append(f"<h2>{heading}</h2><ul>{''.join(f'<li>{web(item)}</li>' for item in items)}</ul>")
    return _shell(f"Data set {report.dataset}", "".join(parts))


def _table_page(report: DataReport, table: TableReport, records: Sequence[Mapping[str, Any]]) -> str:
    title = f"{report.dataset}: {table.table}"
    parts = [
        f"<h1>{web(title)}</h1>",
        '<p class="note"><a href="index.html">All tables</a> · rules in '
        f"<code>expectations/{table.table}.json</code></p>",
        _table(HEADINGS[1:], [_cells(table)[1:]]),
    ]
    if table.broken:
        rows = [
            (web(rule.reason), f"{rule.rows:,}", web("; ".join(rule.examples)), _consequence(rule.severity))
            for rule in table.broken
        ]
        parts.append("<h2>Broken rules</h2>" + _table(("reason", "rows", "examples", "consequence"), rows))
    derived = read_suite(table.table).derived
    if derived:
        rows = [(f"<code>{name}</code>", web(meaning)) for name, meaning in derived.items()]
        parts.append("<h2>Columns derived for the rules</h2>" + _table(("column", "holds"), rows))
    return _shell(title, "".join(parts) + "<h2>Every expectation</h2>" + _sections(table.table, records))


def _consequence(severity: str) -> str:
    return "the run stops" if severity == "critical" else "quarantine"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of `rows` of HTML cells; cells that are numbers are aligned right."""
    head = "".join(f"<th{_number(rows[0][at]) if rows else ''}>{name}</th>" for at, name in enumerate(headings))
    body = "".join("<tr>" + "".join(f"<td{_number(cell)}>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _number(cell: str) -> str:
    return ' class="number"' if cell.rstrip("%").replace(",", "").replace(".", "").isdigit() else ""


def _shell(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{web(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def _sections(name: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The sections that Great Expectations renders for `records`; without records, a sentence that says why."""
    if not records:
        return '<p class="note">None was checked: the run stopped at an earlier table.</p>'
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    document = ValidationResultsPageRenderer().render(_suite_result(name, records))
    whole = _view().render(document)
    # Without its first section, which repeats the counts; the three blocks that enclose the rest are opened again here.
    begin, end = whole.find('<div id="section-2"'), whole.find("<footer>")
    if begin < 0 or end < begin:
        raise RuntimeError(
            "Great Expectations' page no longer has the sections and the footer that this file looks for"
        )
    return "<div><div><div>" + whole[begin:end]


@cache
def _view() -> Any:
    """Great Expectations' view of a page, made once, since each view compiles its templates."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


def _suite_result(name: str, records: Sequence[Mapping[str, Any]]) -> Any:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    results = []
    for record in records:
        # Its templates do not escape values: a text from the data could run as a script.
        config, result = _escaped(record["expectation_config"]), _escaped(record["result"])
        expectation = ExpectationConfiguration(config["type"], config["kwargs"], config["meta"])
        results.append(
            ExpectationValidationResult(
                success=record["success"],
                expectation_config=expectation,
                result=result,
                exception_info=dict(record["exception_info"]),
            )
        )
    held = sum(result.success for result in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": held,
        "unsuccessful_expectations": len(results) - held,
        "success_percent": 100.0 * held / max(len(results), 1),
    }
    return ExpectationSuiteValidationResult(
        success=held == len(results),
        results=results,
        suite_name=name,
        suite_parameters={},
        statistics=statistics,
        meta={"run_id": {"run_name": name, "run_time": ""}},
    )


def _escaped(value: Any) -> Any:
    """`value` with every text in it escaped for HTML."""
    if isinstance(value, str):
        return web(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value
