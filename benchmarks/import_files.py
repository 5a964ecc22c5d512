"""The files that `benchmarks.imports` makes: one small log, written in the shapes in which shops have theirs.

Each shape is a function (log) -> Case: the files, and the tables that an import of them must give, cell by cell.
"""

import csv
import gzip
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, object]]
COLUMNS = ("impression_id", "timestamp", "shopper_id", "campaign", "position", "creative_id", "propensity", "click")
CHINESE = dict(
    zip(COLUMNS, ("曝光ID", "曝光时间", "用户ID", "推广计划", "位置", "创意ID", "展示概率", "是否点击"), strict=True)
)
GERMAN = dict(
    zip(
        COLUMNS,
        ("ID", "Zeitpunkt", "Kunde", "Kampagne", "Platz", "Anzeige", "Wahrscheinlichkeit", "geklickt"),
        strict=True,
    )
)


@dataclass(frozen=True)
class Case:
    """Files to import (several `imports`, one after another) and the rows of each table that must come of them.

    answers: text of mapping.yaml -> its replacement, for what the import asks; zone: the answer about the zone.
    refused: words that the refusal must have. edits: as answers, made after a first import without a question.
    """

    imports: tuple[Mapping[str, bytes], ...]
    truth: Mapping[str, Rows] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    edits: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None


def made_log(seed: int, rows: int = 240) -> Rows:
    """A log of four creatives in two campaigns, in UTC, over ten days of which some are after the twelfth."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2026-03-08T00:00:00Z")
    log: Rows = []
    for number in range(rows):
        campaign, creative = int(rng.integers(2)), int(rng.integers(2))
        share = round(float(rng.uniform(0.05, 0.95)), 3)
        log.append(
            {
                "impression_id": f"i{seed}-{number:05d}",
                "timestamp": start
                + timedelta(minutes=number * 60 + int(rng.integers(59)), seconds=int(rng.integers(60))),
                "shopper_id": f"{int(rng.integers(30)):06d}",
                "campaign": f"c{campaign}",
                "position": 1 + int(rng.integers(4)),
                "creative_id": f"ad{campaign}{creative}",
                "propensity": share,
                "click": int(rng.random() < 0.2),
            }
        )
    return log


def text(rows: Rows, delimiter: str = ",", names: Mapping[str, str] | None = None, **formats: Callable) -> str:
    """The rows as CSV. names: column -> its name in the file; formats: column -> how a value is written."""
    columns = list(rows[0])
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow([(names or {}).get(column, column) for column in columns])
    for row in rows:
        writer.writerow([formats.get(column, _plain)(row[column]) for column in columns])
    return out.getvalue()


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return repr(value) if isinstance(value, float) else str(value)


def _case(content: str | bytes, rows: Rows, name: str = "impressions.csv", **options) -> Case:
    encoded = content.encode() if isinstance(content, str) else content
    return Case(({name: encoded},), {"impressions": rows}, **options)


def _strftime(pattern: str, zone: str = "UTC") -> Callable:
    return lambda moment: moment.tz_convert(zone).strftime(pattern)


def _epoch(scale: int) -> Callable:
    return lambda moment: str(int(moment.timestamp()) * scale)


def _with(rows: Rows, **columns: Callable) -> Rows:
    """The rows with columns computed anew."""
    return [{**row, **{name: make(row) for name, make in columns.items()}} for row in rows]


def _without(rows: Rows, *names: str) -> Rows:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def _comma(value: object) -> str:
    return _plain(value).replace(".", ",")


def _german_number(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def _workbook(*sheets: tuple[str, list[list]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cells(rows: Rows) -> list[list]:
    naive = [
        [
            value.tz_localize(None).to_pydatetime() if isinstance(value, pd.Timestamp) else value
            for value in row.values()
        ]
        for row in rows
    ]
    return [list(rows[0]), *naive]


def _parquet(rows: Rows, index: str | None = None) -> bytes:
    frame = pd.DataFrame(rows)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame.set_index(index) if index else frame), out)
    return out.getvalue()


def _json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row, default=_plain, ensure_ascii=False) + "\n" for row in rows)


def products(rows: int = 12) -> Rows:
    """A small catalogue, with quotes and line breaks in its titles."""
    return [
        {
            "product_id": f"{number:05d}",
            "title": f'Shoe "{number}", red\nand blue' if number % 3 == 0 else f"Shoe {number}",
            "category": "boots" if number % 2 else "sandals",
            "price": round(1000 * number / 7 + 0.25, 2),
        }
        for number in range(1, rows + 1)
    ]


def _revenues(log: Rows) -> Rows:
    """The log with money of every size."""
    return _with(log, cost=lambda row: round(float(int(row["impression_id"][-5:]) * 13.37), 2))


# --- texts and their encodings -------------------------------------------------------------------------------------


def _encodings() -> dict[str, Callable[[Rows], Case]]:
    def of(encoding: str, delimiter: str, names: Mapping | None = None, bom: bytes = b"") -> Callable[[Rows], Case]:
        return lambda log: _case(bom + text(log, delimiter, names).encode(encoding), log)

    return {
        "comma": of("utf-8", ","),
        "semicolon": of("utf-8", ";"),
        "tab": of("utf-8", "\t"),
        "bar": of("utf-8", "|"),
        "utf-8 with a mark": of("utf-8-sig", ","),
        "utf-16": of("utf-16", ","),
        "utf-16 big end first, tabs": of("utf-16-be", "\t", bom=b"\xfe\xff"),
        "utf-16 without a mark": of("utf-16-le", ";"),
        "Chinese names, utf-8": of("utf-8", ",", CHINESE),
        "Chinese names, GBK": of("gbk", ",", CHINESE),
        "Chinese names, GB 18030, semicolon": of("gb18030", ";", CHINESE),
        "German names, Windows-1252": lambda log: _case(
            text(_with(log, campaign=lambda row: f"Frühling {row['campaign']}"), ";", GERMAN).encode("cp1252"),
            _with(log, campaign=lambda row: f"Frühling {row['campaign']}"),
        ),
        "gzip": lambda log: _case(gzip.compress(text(log).encode()), log, "impressions.csv.gz"),
    }


# --- what stands around a table ------------------------------------------------------------------------------------


def _preamble(log: Rows) -> Case:
    return _case("Ad log export\nShop;42\nFrom 2026-03-08 to 2026-03-18\n\n" + text(log, ";"), log)


def _repeated_headers(log: Rows) -> Case:
    return _case(text(log[:100]) + text(log[100:]), log)


def _totals(log: Rows) -> Case:
    total = f"Total,,,,,,,{sum(row['click'] for row in log)}\r\n"
    return _case(text(log) + total + "\r\nexported by the shop\r\n", log)


def _blank_rows(log: Rows) -> Case:
    return _case(text(log).replace("\r\n", "\r\n\r\n,,,,,,,\r\n"), log)


def _line_breaks(log: Rows) -> Case:
    catalogue = products()
    files = {"impressions.csv": text(log).encode(), "products.csv": text(catalogue).encode()}
    return Case((files,), {"impressions": log, "products": catalogue})


# --- numbers -------------------------------------------------------------------------------------------------------


def _decimal_comma(log: Rows) -> Case:
    rows = _revenues(log)
    return _case(text(rows, ";", propensity=_comma, cost=_comma), rows)


def _thousands_point(log: Rows) -> Case:
    rows = _revenues(log)
    return _case(text(rows, ";", propensity=_comma, cost=_german_number), rows)


def _thousands_comma(log: Rows) -> Case:
    rows = _revenues(log)
    return _case(text(rows, cost=lambda value: f"{value:,.2f}"), rows)


def _money_signs(log: Rows) -> Case:
    rows = _revenues(log)
    return _case(text(rows, ";", propensity=_comma, cost=lambda value: f"{_german_number(value)} €"), rows)


def _thousand_or_fraction(log: Rows) -> Case:
    rows = _with(log, cost=lambda row: 1000.0 + int(row["impression_id"][-5:]) % 900)
    answers = {"decimal: '?'": "decimal: '.'"}
    return _case(text(rows, cost=lambda value: f"{value:,.0f}"), rows, answers=answers)


def _no_value_words(log: Rows) -> Case:
    rows = _with(log, cost=lambda row: None if row["click"] else 2.5)
    return _case(text(rows, cost=lambda value: "NULL" if value is None else repr(value)), rows)


# --- times ---------------------------------------------------------------------------------------------------------


def _times() -> dict[str, Callable[[Rows], Case]]:
    def of(write: Callable, zone: str | None = None, answers: Mapping | None = None) -> Callable[[Rows], Case]:
        return lambda log: _case(text(log, timestamp=write), log, zone=zone, answers=answers or {})

    minutes = lambda log: _with(log, timestamp=lambda row: row["timestamp"].floor("min"))  # noqa: E731

    def of_minutes(pattern: str, zone: str) -> Callable[[Rows], Case]:
        return lambda log: _case(text(minutes(log), timestamp=_strftime(pattern, zone)), minutes(log), zone=zone)

    return {
        "times with an offset": of(lambda moment: moment.tz_convert("Asia/Shanghai").isoformat()),
        "times without a zone": of(_strftime("%Y-%m-%d %H:%M:%S", "Europe/Berlin"), "Europe/Berlin"),
        "epoch seconds": of(_epoch(1)),
        "epoch milliseconds": of(_epoch(1000)),
        "epoch microseconds": of(_epoch(1_000_000)),
        "day first": of_minutes("%d/%m/%Y %H:%M", "Europe/London"),
        "month first, AM and PM": of_minutes("%m/%d/%Y %I:%M %p", "America/New_York"),
        "points between day, month and year": of_minutes("%d.%m.%Y %H:%M", "Europe/Berlin"),
        "Chinese times": of(_strftime("%Y年%m月%d日 %H时%M分%S秒", "Asia/Shanghai"), "Asia/Shanghai"),
        "names of months": of(_strftime("%d %b %Y %H:%M:%S"), "UTC"),
        "slashes, year first": of(_strftime("%Y/%m/%d %H:%M:%S", "Asia/Shanghai"), "Asia/Shanghai"),
    }


def _ambiguous_days(log: Rows) -> Case:
    rows = [row for row in log if row["timestamp"].day <= 12]
    content = text(rows, timestamp=_strftime("%d/%m/%Y %H:%M:%S"))
    return _case(content, rows, zone="UTC", answers={"format: '?'": "format: '%d/%m/%Y %H:%M:%S'"})


def _date_and_clock(log: Rows) -> Case:
    rows = [
        {**{"date": row["timestamp"].strftime("%Y-%m-%d"), "clock": row["timestamp"].strftime("%H:%M:%S")}, **row}
        for row in log
    ]
    return _case(text(_without(rows, "timestamp")), log, zone="UTC")


def _days_alone(log: Rows) -> Case:
    rows = _with(log, timestamp=lambda row: row["timestamp"].floor("D"))
    return _case(text(rows, timestamp=_strftime("%Y-%m-%d")), rows, zone="UTC")


def _mixed_units(log: Rows) -> Case:
    write = lambda moment: _epoch(1000 if moment.hour % 2 else 1)(moment)  # noqa: E731
    return _case(text(log, timestamp=write), log, refused="times in two units")


# --- ids and flags -------------------------------------------------------------------------------------------------


def _long_ids(log: Rows) -> Case:
    rows = _with(log, impression_id=lambda row: str(9_007_199_254_740_993 + 2 * int(row["impression_id"][-5:])))
    return _case(text(rows), rows)


def _float_ids(log: Rows) -> Case:
    rows = _with(log, shopper_id=lambda row: str(int(row["shopper_id"]) + 1000))
    return _case(text(rows, shopper_id=lambda value: f"{value}.0"), rows)


def _scientific_ids(log: Rows) -> Case:
    rows = _with(log, impression_id=lambda row: f"{1.1 + int(row['impression_id'][-5:]) / 1e5:.5f}E+17")
    return _case(text(rows), rows, refused="scientific notation")


def _no_ids(log: Rows) -> Case:
    rows = _without(log, "impression_id")
    return _case(text(rows), rows)


def _words(yes: str, no: str, names: Mapping | None = None) -> Callable[[Rows], Case]:
    return lambda log: _case(text(log, ",", names, click=lambda value: yes if value else no), log)


def _empty_for_no(log: Rows) -> Case:
    content = text(log, click=lambda value: "1" if value else "")
    return _case(content, log, answers={"empty: '?'": "empty: 'no'"})


def _click_times(log: Rows) -> Case:
    write = lambda row: _plain(row["timestamp"] + timedelta(seconds=5)) if row["click"] else ""  # noqa: E731
    rows = _without(_with(log, clicked_at=write), "click")
    return _case(text(rows), log)


# --- propensities --------------------------------------------------------------------------------------------------


def _logs(log: Rows) -> Case:
    rows = _with(_without(log, "propensity"), log_propensity=lambda row: 0.0)
    for row, known in zip(rows, log, strict=True):
        row["log_propensity"] = math.log(known["propensity"])
    return _case(text(rows), log)


def _percent_sign(log: Rows) -> Case:
    return _case(text(log, propensity=lambda value: f"{100 * value:.1f}%"), log)


def _percent_name(log: Rows) -> Case:
    return _case(text(log, names={"propensity": "propensity_pct"}, propensity=lambda value: f"{100 * value:.1f}"), log)


def _inverse(log: Rows) -> Case:
    return _case(text(log, names={"propensity": "ipw"}, propensity=lambda value: repr(1 / value)), log)


def _unclear_form(log: Rows) -> Case:
    content = text(log, propensity=lambda value: repr(1 / value))
    return _case(content, log, answers={"form: '?'": "form: inverse"})


def _no_propensities(log: Rows) -> Case:
    rows = _without(log, "propensity")
    return _case(text(rows), _with(rows, propensity=lambda row: None))


def _randomised(log: Rows) -> Case:
    rows = _with(_without(log, "propensity"), propensity=lambda row: 0.5)
    edits = {"files:": "randomisation: uniform\nfiles:"}
    return _case(text(_without(log, "propensity")), rows, edits=edits)


def _not_randomised(log: Rows) -> Case:
    first = [row for row in log if row["creative_id"] == "ad00"]
    kept = {row["impression_id"] for row in first[::20]}  # some, for a creative that is never shown is not in the file
    skewed = [row for row in log if row["creative_id"] != "ad00" or row["impression_id"] in kept]
    edits = {"files:": "randomisation: uniform\nfiles:"}
    return _case(text(_without(skewed, "propensity")), skewed, edits=edits, refused="it is not what acted")


def _sampling_share(log: Rows) -> Case:
    return _case(text(_with(log, sampling_rate=lambda row: 0.1)), log)


# --- several rows, several files -----------------------------------------------------------------------------------


def _one_file_of_views_and_clicks(log: Rows) -> Case:
    views = [{"event_type": "impression", **_without([row], "click")[0]} for row in log]
    clicks = [
        {**view, "event_type": "click", "timestamp": view["timestamp"] + timedelta(seconds=9)}
        for view, row in zip(views, log, strict=True)
        if row["click"]
    ]
    return _case(text(sorted(views + clicks, key=lambda row: row["timestamp"])), log, "ad_log.csv")


def _two_files_of_views_and_clicks(log: Rows) -> Case:
    clicks = [
        {"impression_id": row["impression_id"], "click_time": row["timestamp"] + timedelta(seconds=9)}
        for row in log
        if row["click"]
    ]
    files = {"impressions.csv": text(_without(log, "click")).encode(), "clicks.csv": text(clicks).encode()}
    return Case((files,), {"impressions": log})


def _clicks_without_ids(log: Rows) -> Case:
    clicks = [
        {
            "user_id": row["shopper_id"],
            "creative_id": row["creative_id"],
            "time": row["timestamp"] + timedelta(seconds=9),
        }
        for row in log
        if row["click"]
    ]
    views = _without(log, "click", "impression_id")
    files = {"impressions.csv": text(views).encode(), "clicks.csv": text(clicks).encode()}
    return Case((files,), {"impressions": _without(log, "impression_id")})


def _conversions(log: Rows) -> Case:
    """Clicks of the first days convert now and then; their window has passed when the log ends."""
    first = log[0]["timestamp"]
    truth, orders = [], []
    for number, row in enumerate(log):
        final = row["timestamp"] + timedelta(days=7) <= first.floor("D") + timedelta(days=10)
        bought = final and row["click"] and number % 2 == 0
        at = row["timestamp"] + timedelta(hours=5) if bought else None
        earned = 19.5 + number if bought else None
        known = int(bought) if final or not row["click"] else None
        truth.append({**row, "conversion": known, "conversion_timestamp": at, "revenue": earned})
        if bought:
            orders.append({"impression_id": row["impression_id"], "order_time": at, "order_value": earned})
    files = {"impressions.csv": text(log).encode(), "orders.csv": text(orders).encode()}
    return Case((files,), {"impressions": truth})


def _slate_rows(log: Rows) -> list[Rows]:
    """The log in pages of three impressions that share all but creative, position, propensity and click."""
    pages = []
    for start in range(0, len(log) - 2, 3):
        first = log[start]
        page = []
        for place in range(3):
            row = log[start + place]
            page.append(
                {**first, **{name: row[name] for name in ("creative_id", "propensity", "click")}, "campaign": "c0"}
            )
            request = f"r{start}"
            page[-1] |= {"position": place + 1, "request_id": request, "impression_id": f"{request}-{place + 1}"}
            page[-1]["creative_id"] = f"x{row['creative_id']}"
        pages.append(page)
    return pages


def _page(page: Rows) -> dict[str, object]:
    return {name: page[0][name] for name in ("request_id", "timestamp", "shopper_id", "campaign")}


def _slate_lists(log: Rows) -> Case:
    pages = _slate_rows(log)
    lists = {"creative_id": "creative_ids", "propensity": "propensity", "click": "click"}
    rows = [{**_page(p), **{wide: "|".join(_plain(r[n]) for r in p) for n, wide in lists.items()}} for p in pages]
    return _case(text(rows, names={"request_id": "impression_id"}), [row for page in pages for row in page])


def _slate_columns(log: Rows) -> Case:
    pages = _slate_rows(log)
    rows = [
        {
            **_page(p),
            **{f"{name}_{r['position']}": r[name] for r in p for name in ("creative_id", "propensity", "click")},
        }
        for p in pages
    ]
    return _case(text(rows, names={"request_id": "impression_id"}), [row for page in pages for row in page])


def _slate_json(log: Rows) -> Case:
    pages = _slate_rows(log)
    names = ("creative_id", "propensity", "click")
    records = [{**_page(p), "slate": [{name: r[name] for name in names} for r in p]} for p in pages]
    records = [{"impression_id": record.pop("request_id"), **record} for record in records]
    return _case(_json_lines(records), [row for page in pages for row in page], "impressions.jsonl")


def _policy_column(log: Rows) -> Case:
    rows = _with(log, logging_policy=lambda row: "thompson" if int(row["impression_id"][-1]) % 2 else "uniform")
    return _case(text(rows, names={"logging_policy": "algorithm"}), rows)


def _policy_files(log: Rows) -> Case:
    rows = _with(log, logging_policy=lambda row: "log_model" if int(row["impression_id"][-1]) % 2 else "log_random")
    files = {
        f"{name}.csv": text(_without([row for row in rows if row["logging_policy"] == name], "logging_policy")).encode()
        for name in ("log_model", "log_random")
    }
    return Case((files,), {"impressions": rows})


def _campaigns_elsewhere(log: Rows) -> Case:
    known = {row["creative_id"]: row["campaign"] for row in log}
    creatives = [{"creative_id": key, "campaign": known[key], "headline": f"Now {key}!"} for key in sorted(known)]
    files = {"impressions.csv": text(_without(log, "campaign")).encode(), "creatives.csv": text(creatives).encode()}
    return Case((files,), {"impressions": log, "creatives": creatives})


def _events(log: Rows) -> Case:
    kinds = ("view", "cart", "purchase", "search")
    events = [
        {
            "event_id": f"e{n}", "timestamp": row["timestamp"], "shopper_id": row["shopper_id"], "kind": kinds[n % 4],
            "product_id": None if n % 4 == 3 else f"{n % 12 + 1:05d}", "text": "红 鞋" if n % 4 == 3 else None,
        }
        for n, row in enumerate(log)
    ]  # fmt: skip
    shown = {"view": "pv", "cart": "add_to_cart", "purchase": "buy", "search": "search"}
    files = {
        "impressions.csv": text(log).encode(),
        "behaviour.csv": text(events, kind=lambda kind: shown[kind], names={"kind": "behavior_type"}).encode(),
        "products.csv": text(products()).encode(),
    }
    return Case((files,), {"impressions": log, "events": events, "products": products()})


def _more_days(log: Rows) -> Case:
    middle = [row["timestamp"].day for row in log].index(13)
    first, second = text(log[:middle]).encode(), text(log[middle - 20 :]).encode()
    return Case(({"log-2026-03-12.csv": first}, {"log-2026-03-18.csv": second}), {"impressions": log})


def _overlapping_files(log: Rows) -> Case:
    files = {"log-1.csv": text(log[:150]).encode(), "log-2.csv": text(log[100:]).encode()}
    return Case((files,), {"impressions": log})


def _disagreeing_files(log: Rows) -> Case:
    changed = _with(log[:5], click=lambda row: 1 - row["click"])
    files = {"log-1.csv": text(log).encode(), "log-2.csv": text(changed).encode()}
    return Case((files,), {}, refused="disagree: click")


def _report(names: tuple[str, str, str, str, str], preamble: str, total: str) -> Callable[[Rows], Case]:
    def made(log: Rows) -> Case:
        rng = np.random.default_rng(len(log))
        rows, sums = [], {}
        for day in pd.date_range("2026-03-01", "2026-03-05"):
            for creative in ("ad00", "ad01", "ad10"):
                shown, clicked = int(rng.integers(1000, 9000)), int(rng.integers(5, 90))
                before = sums.get(creative, (0, 0))
                sums[creative] = (before[0] + shown, before[1] + clicked)
                rows.append([day.strftime("%Y-%m-%d"), creative, f"c{creative[2]}", f"{shown:,}", str(clicked)])
        out = io.StringIO()
        out.write(preamble)
        csv.writer(out).writerows([names, *rows, [total, "", "", "99", "9"]])
        truth = [
            {
                "creative_id": creative, "campaign": f"c{creative[2]}", "feature_prior_rate": clicked / shown,
                "feature_prior_impressions": float(shown), "features_from": pd.Timestamp("2026-03-06T00:00:00Z"),
            }
            for creative, (shown, clicked) in sorted(sums.items())
        ]  # fmt: skip
        return Case(({"ads report.csv": out.getvalue().encode()},), {"creatives": truth}, zone="UTC")

    return made


# --- Excel, Parquet, JSON ------------------------------------------------------------------------------------------


def _excel(log: Rows) -> Case:
    return _case(_workbook(("log", _cells(log))), log, "impressions.xlsx", zone="UTC")


def _excel_sheets(log: Rows) -> Case:
    book = _workbook(("impressions", _cells(log)), ("products", _cells(products())))
    return Case(({"shop.xlsx": book},), {"impressions": log, "products": products()}, zone="UTC")


def _excel_preamble(log: Rows) -> Case:
    total = ["Total", None, None, None, None, None, None, 7]
    book = _workbook(("log", [["Ad log"], [], *_cells(log), total]))
    return _case(book, log, "impressions.xlsx", zone="UTC")


def _parquet_numbers(log: Rows) -> Case:
    rows = _with(
        log,
        impression_id=lambda row: 10**18 + int(row["impression_id"][-5:]),
        shopper_id=lambda row: int(row["shopper_id"]),
    )
    return _case(
        _parquet(rows),
        _with(rows, impression_id=lambda r: str(r["impression_id"]), shopper_id=lambda r: str(r["shopper_id"])),
        "impressions.parquet",
    )


def _nested(log: Rows) -> Case:
    records = [
        {
            "id": r["impression_id"],
            "time": r["timestamp"],
            "user": {"user_id": r["shopper_id"]},
            "ad": {"creative_id": r["creative_id"], "campaign": r["campaign"]},
            "position": r["position"],
            "p": r["propensity"],
            "clicked": bool(r["click"]),
        }
        for r in log
    ]
    return _case(_json_lines(records), log, "impressions.jsonl")


def _cut_off(log: Rows) -> Case:
    return _case(gzip.compress(text(log).encode())[:-20], log, "impressions.csv.gz", refused="cut off")


SHAPES: dict[str, Callable[[Rows], Case]] = {
    **_encodings(),
    "rows above the header": _preamble,
    "repeated headers": _repeated_headers,
    "total row and footer": _totals,
    "blank rows": _blank_rows,
    "line breaks and quotes in cells": _line_breaks,
    "decimal comma": _decimal_comma,
    "points between thousands": _thousands_point,
    "commas between thousands": _thousands_comma,
    "money signs": _money_signs,
    "a thousand or a fraction": _thousand_or_fraction,
    "words for no value": _no_value_words,
    **_times(),
    "day or month first, not clear": _ambiguous_days,
    "day and clock in two columns": _date_and_clock,
    "days alone": _days_alone,
    "seconds and milliseconds mixed": _mixed_units,
    "ids above 2^53": _long_ids,
    "ids as 123.0": _float_ids,
    "ids as 1.2E+17": _scientific_ids,
    "no impression ids": _no_ids,
    "yes and no": _words("yes", "no"),
    "true and false": _words("TRUE", "FALSE"),
    "Chinese yes and no": _words("是", "否", CHINESE),
    "German yes and no": _words("ja", "nein", GERMAN),
    "empty for no": _empty_for_no,
    "click times": _click_times,
    "logarithms": _logs,
    "per cent signs": _percent_sign,
    "per cent by name": _percent_name,
    "inverse propensities": _inverse,
    "propensities of an unclear form": _unclear_form,
    "no propensities": _no_propensities,
    "a known randomisation": _randomised,
    "a randomisation that did not act": _not_randomised,
    "a sampling share": _sampling_share,
    "views and clicks in one file": _one_file_of_views_and_clicks,
    "views and clicks in two files": _two_files_of_views_and_clicks,
    "clicks without ids": _clicks_without_ids,
    "conversions in a file": _conversions,
    "slates as lists": _slate_lists,
    "slates as numbered columns": _slate_columns,
    "slates in JSON": _slate_json,
    "policies in a column": _policy_column,
    "policies in file names": _policy_files,
    "campaigns known by creatives": _campaigns_elsewhere,
    "events and products": _events,
    "more days later": _more_days,
    "files that overlap": _overlapping_files,
    "files that disagree": _disagreeing_files,
    "report of a platform": _report(("Day", "Ad ID", "Campaign", "Impr.", "Clicks"), "Ads report\nMarch\n", "Total"),
    "Chinese report of a platform": _report(("日期", "创意ID", "推广计划", "展现量", "点击量"), "", "合计"),
    "Excel": _excel,
    "Excel with two sheets": _excel_sheets,
    "Excel with a title and a total": _excel_preamble,
    "Parquet": lambda log: _case(_parquet(log), log, "impressions.parquet"),
    "Parquet with number ids": _parquet_numbers,
    "Parquet with an index": lambda log: _case(_parquet(log, "impression_id"), log, "impressions.parquet"),
    "JSON lines": lambda log: _case(_json_lines(log), log, "impressions.jsonl"),
    "JSON list": lambda log: _case(json.dumps(log, default=_plain), log, "impressions.json"),
    "nested JSON": _nested,
    "a PDF": lambda log: _case(b"%PDF-1.7\n", log, refused="this is a PDF"),
    "a gzip file that is cut off": _cut_off,
}  # fmt: skip
