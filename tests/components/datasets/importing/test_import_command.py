import os

import pandas as pd
import pytest
import yaml

from components.contract.files.tables import read_table
from components.contract.validation.validate import load_dataset, validate
from components.datasets.importing import import_command
from components.settings.errors import UserError
from components.settings.sections import ValidationConfig
from tests.components.datasets.importing.conftest import HEADER, as_csv, impressions


def tree(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_csv_becomes_a_data_set_that_passes_validation(desk):
    done = desk.bring(desk.write("log.csv", as_csv(impressions())))
    assert done.fresh and done.written.rows["impressions"] == 24
    tables, card = load_dataset(desk.shop)
    assert f"{card.ends_at:%Y-%m-%d}" == "2026-03-04"
    checked = validate(tables, card, ValidationConfig())
    assert len(checked.tables["impressions"]) == 24
    assert set(tables["creatives"]["creative_id"]) == {"b0", "b1"}
    frame = tables["impressions"]
    assert list(frame["impression_id"]) == [row[0] for row in impressions()]
    assert list(frame["click"]) == [row[7] for row in impressions()]


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        (["0.1"] * 4, "kept 0.1 of all rows alike"),
        (["1", "0.1", "0.1", "0.1"], "kept between 0.1 and 1 of the rows (keep_probability), so evaluation abstains"),
    ],
)
def test_a_sampling_share_is_kept_and_explained(desk, shares, words):
    rows = [(*row, shares[number % 4]) for number, row in enumerate(impressions())]
    done = desk.bring(desk.write("log.csv", as_csv(rows, header=(*HEADER, "sampling_rate"))))
    kept = read_table(desk.shop, "impressions").set_index("impression_id")["keep_probability"]
    assert [kept[row[0]] for row in rows] == [float(row[-1]) for row in rows]
    assert any(words in note for note in done.notes), done.notes


def test_more_days_are_added_and_nothing_twice(desk):
    desk.bring(desk.write("log-1.csv", as_csv(impressions(range(1, 4)))))
    before = tree(desk.shop / "impressions")
    done = desk.bring(desk.write("log-2.csv", as_csv(impressions(range(3, 6)))))
    assert (done.fresh, done.written.days, done.written.rows["impressions"]) == (False, 2, 16)
    after = tree(desk.shop / "impressions")
    assert {name: after[name] for name in before} == before
    assert len(read_table(desk.shop, "impressions")) == 40
    again = desk.bring(desk.folder / "log-2.csv")
    assert (again.written.days, again.written.rows["impressions"]) == (0, 0)


def test_rows_of_earlier_days_lie_beside_them(desk):
    desk.bring(desk.write("log-1.csv", as_csv(impressions(range(1, 4), per_day=6))))
    done = desk.bring(desk.write("log-2.csv", as_csv(impressions(range(3, 5), per_day=8))))
    assert done.written.late == 2
    assert (desk.shop / "impressions" / "day=2026-03-03" / "late-2026-03-05.parquet").exists()
    assert len(read_table(desk.shop, "impressions")) == 3 * 6 + 2 + 8


def test_rows_that_contradict_what_is_there_stop_the_import(desk):
    desk.bring(desk.write("log-1.csv", as_csv(impressions())))
    before = tree(desk.shop)
    changed = [(*row[:7], 1 - row[7]) for row in impressions(range(3, 5))]
    with pytest.raises(UserError, match="03-000 is in the data set already with click 0, and the file says 1"):
        desk.bring(desk.write("log-2.csv", as_csv(changed)))
    assert tree(desk.shop) == before


def test_two_files_that_disagree_are_refused(desk):
    rows = impressions()
    first = desk.write("log-a.csv", as_csv(rows))
    second = desk.write("log-b.csv", as_csv([(*rows[0][:7], 1)]))
    with pytest.raises(UserError, match=r"01-000 disagree: click is 0 in log-a.csv, row 2, and 1 in log-b.csv, row 2"):
        desk.bring(first, second)
    assert not desk.shop.exists()


def test_rows_that_are_there_twice_are_taken_once(desk):
    rows = impressions()
    done = desk.bring(desk.write("a1.csv", as_csv(rows)), desk.write("a2.csv", as_csv(rows[:5])))
    assert done.written.rows["impressions"] == 24
    assert any("5 rows of impressions are there twice" in note for note in done.notes)


def test_a_question_leaves_the_mapping_alone_and_its_answer_goes_on(desk):
    naive = [(row[0], row[1].rstrip("Z"), *row[2:]) for row in impressions()]
    path = desk.write("log.csv", as_csv(naive))
    with pytest.raises(UserError, match=r"mapping.yaml asks: `zone`: '2026-03-01T00:00:00' in column time of log.csv"):
        desk.bring(path)
    assert [child.name for child in desk.shop.iterdir()] == ["mapping.yaml"]
    mapping = desk.shop / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("zone: '?'", "zone: Asia/Shanghai"))
    desk.bring(path)
    assert read_table(desk.shop, "impressions")["timestamp"].min() == pd.Timestamp("2026-02-28T16:00:00Z")


def test_an_option_answers_the_zone(desk):
    naive = [(row[0], row[1].rstrip("Z"), *row[2:]) for row in impressions()]
    desk.bring(desk.write("log.csv", as_csv(naive)), zone="UTC")
    assert read_table(desk.shop, "impressions")["timestamp"].min() == pd.Timestamp("2026-03-01T00:00:00Z")
    with pytest.raises(UserError, match="'Mars' is no time zone"):
        desk.bring(desk.folder / "log.csv", zone="Mars")


def test_day_and_month_that_cannot_be_told_apart_are_asked_for(desk):
    rows = [(row[0], f"0{n % 3 + 1}/04/2026 10:00", *row[2:]) for n, row in enumerate(impressions())]
    path = desk.write("log.csv", as_csv(rows))
    with pytest.raises(UserError, match=r"timestamp.format`: .* put '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'"):
        desk.bring(path, zone="UTC")
    mapping = desk.shop / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("format: '?'", "format: '%d/%m/%Y %H:%M'"))
    desk.bring(path)
    assert read_table(desk.shop, "impressions")["timestamp"].max() == pd.Timestamp("2026-04-03T10:00:00Z")


def test_a_mapping_that_does_not_fit_the_file_is_refused(desk):
    desk.bring(desk.write("log-1.csv", as_csv(impressions())))
    header = ("impression", *HEADER[1:])
    with pytest.raises(UserError, match=r"files.0 \(log-\*.csv\): log-2.csv has no column 'impression_id'"):
        desk.bring(desk.write("log-2.csv", as_csv(impressions(range(4, 6)), header)))
    with pytest.raises(UserError, match="a column 'extra' that the mapping does not know"):
        rows = [(*row, "x") for row in impressions(range(4, 6))]
        desk.bring(desk.write("log-3.csv", as_csv(rows, (*HEADER, "extra"))))


def test_a_changed_mapping_builds_the_data_set_anew_from_all_its_files(desk):
    first, second = desk.write("log-1.csv", as_csv(impressions())), None
    desk.bring(first)
    second = desk.write("log-2.csv", as_csv(impressions(range(4, 6))))
    desk.bring(second)
    mapping = desk.shop / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("currency: XXX", "currency: GBP"))
    with pytest.raises(UserError, match=r"give all its files again to build it anew \(not given: log-1.csv\)"):
        desk.bring(second)
    done = desk.bring(first, second)
    assert done.fresh and done.written.rows["impressions"] == 40
    assert yaml.safe_load((desk.shop / "dataset.yaml").read_text())["currency"] == "GBP"


def test_a_file_that_grows_while_it_is_read_is_refused(desk, monkeypatch):
    path = desk.write("log.csv", as_csv(impressions()))
    reading = import_command.read_file

    def growing(target, *arguments):
        from components.datasets.importing.staging import reading as module

        tables = module._tables

        def and_grow(*inner):
            result = tables(*inner)
            with path.open("a") as file:
                file.write("x\n")
            return result

        monkeypatch.setattr(module, "_tables", and_grow)
        return reading(target, *arguments)

    monkeypatch.setattr(import_command, "read_file", growing)
    with pytest.raises(UserError, match="changed while it was read"):
        desk.bring(path)
    assert not desk.shop.exists()


def test_a_data_set_that_was_not_imported_is_left_alone(desk):
    desk.shop.mkdir(parents=True)
    (desk.shop / "dataset.yaml").write_text("name: shop\n")
    with pytest.raises(UserError, match="was not imported"):
        desk.bring(desk.write("log.csv", as_csv(impressions())))


def test_what_is_missing_is_said_with_what_it_switches_off(desk):
    header = tuple(name for name in HEADER if name != "propensity")
    rows = [(*row[:6], row[7]) for row in impressions()]
    notes = "\n".join(desk.bring(desk.write("log.csv", as_csv(rows, header))).notes)
    assert "no propensities: evaluation is off" in notes
    assert "no events: off without them" in notes
    assert read_table(desk.shop, "impressions")["propensity"].isna().all()


def test_ids_lose_no_digit(desk):
    rows = [(9_007_199_254_740_993 + n, row[1], f"{n % 4:05d}", *row[3:]) for n, row in enumerate(impressions())]
    desk.bring(desk.write("log.csv", as_csv(rows)))
    frame = read_table(desk.shop, "impressions")
    assert list(frame["impression_id"]) == [str(row[0]) for row in rows]
    assert set(frame["shopper_id"]) == {"00000", "00001", "00002", "00003"}


def test_ids_of_a_spreadsheet_are_refused(desk):
    rows = [(f"{n + 1}.23457E+18", *row[1:]) for n, row in enumerate(impressions())]
    with pytest.raises(UserError, match=r"'1.23457E\+18' is an id in scientific notation"):
        desk.bring(desk.write("log.csv", as_csv(rows)))
    assert not desk.shop.exists()


def test_an_unreadable_value_beyond_the_first_ones_stops_the_import(desk):
    rows = impressions(range(1, 4), per_day=8)
    rows[-1] = (*rows[-1][:6], "often", rows[-1][7])
    desk.bring(desk.write("log-1.csv", as_csv(rows[:-1])))
    before = tree(desk.shop)
    with pytest.raises(UserError, match=r"log-2.csv, row 25: column propensity holds 'often'; expected a number"):
        desk.bring(desk.write("log-2.csv", as_csv(rows)))
    assert tree(desk.shop) == before


def test_memory_that_is_no_amount_is_named(desk, monkeypatch):
    monkeypatch.setitem(os.environ, import_command.MEMORY, "much")
    with pytest.raises(UserError, match="ADLOOM_IMPORT_MEMORY is 'much'"):
        desk.bring(desk.write("log.csv", as_csv(impressions())))


def test_a_known_randomisation_gives_propensities_if_the_shares_agree(desk):
    header = tuple(name for name in HEADER if name != "propensity")
    rows = [(*row[:6], row[7]) for row in impressions(per_day=100)]
    path = desk.write("log.csv", as_csv(rows, header))
    desk.bring(path)
    mapping = desk.shop / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("files:", "randomisation: uniform\nfiles:"))
    desk.bring(path)
    assert set(read_table(desk.shop, "impressions")["propensity"]) == {0.5}
    mapping.write_text(mapping.read_text().replace("randomisation: uniform", "randomisation: {b0: 0.9, b1: 0.1}"))
    with pytest.raises(UserError, match=r"showed creative b0 in 50.0% of 300 impressions.* says 90.0%"):
        desk.bring(path)


def test_a_creative_may_be_called_na_and_a_column_have_quotes(desk):
    rows = [(*row[:3], "NA" if n % 2 else "-", *row[4:], "x") for n, row in enumerate(impressions())]
    desk.bring(desk.write("log.csv", as_csv(rows, (*HEADER, "context_o'k\"x"))))
    frame = read_table(desk.shop, "impressions")
    assert set(frame["creative_id"]) == {"NA", "-"}
    assert set(frame["context_o'k\"x"]) == {"x"}


def test_made_shoppers_are_said(desk):
    rows = [(*row[:2], *row[3:]) for row in impressions()]
    done = desk.bring(desk.write("log.csv", as_csv(rows, (*HEADER[:2], *HEADER[3:]))))
    assert any("no shopper ids" in note for note in done.notes)


def test_a_needed_column_that_holds_nothing_is_named(desk):
    rows = [(*row[:3], "", *row[4:]) for row in impressions()]
    with pytest.raises(UserError, match="column creative_id holds nothing, and impressions cannot do without"):
        desk.bring(desk.write("log.csv", as_csv(rows)))


def test_conversions_that_became_final_are_added_beside_their_day(desk):
    header = (*HEADER, "conversion", "conversion_time")
    bought = "2026-03-01T09:00:00Z"

    def rows(days: range, known: bool) -> list[tuple]:
        return [
            (*row, int(known and n == 3), bought if known and n == 3 else "") for n, row in enumerate(impressions(days))
        ]

    desk.bring(desk.write("log-1.csv", as_csv(rows(range(1, 3), known=False), header)))
    first = read_table(desk.shop, "impressions").set_index("impression_id")
    assert first.loc["01-003", "click"] == 1 and pd.isna(first.loc["01-003", "conversion"])  # its window is open
    again = rows(range(1, 3), known=True) + [(*row, 0, "") for row in impressions(range(9, 11))]
    done = desk.bring(desk.write("log-2.csv", as_csv(again, header)))
    assert done.written.settled > 0
    table = read_table(desk.shop, "impressions").set_index("impression_id")
    assert table.loc["01-003", "conversion"] == 1
    assert table.loc["01-003", "conversion_timestamp"] == pd.Timestamp(bought)
    assert len(table) == 32


def test_a_disk_or_memory_that_is_full_is_one_sentence(desk, monkeypatch):
    import duckdb

    def full(*arguments):
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate")

    monkeypatch.setattr(import_command, "_build", full)
    with pytest.raises(UserError, match=r"nothing has changed: Out of Memory Error: .*ADLOOM_IMPORT_MEMORY"):
        desk.bring(desk.write("log.csv", as_csv(impressions())))
    assert not desk.shop.exists()


def test_positions_from_0_are_read_as_places_and_said(desk):
    rows = [(*row[:5], number % 3, *row[6:]) for number, row in enumerate(impressions())]
    notes = desk.bring(desk.write("log.csv", as_csv(rows))).notes
    assert "log.csv: column position counts places from 0: position is one more" in notes
    assert list(read_table(desk.shop, "impressions")["position"]) == [row[5] + 1 for row in rows]


def test_a_later_file_with_positions_from_0_does_not_fit_a_mapping_from_1(desk):
    desk.bring(desk.write("log-1.csv", as_csv(impressions(range(1, 3)))))
    rows = [(*row[:5], 0, *row[6:]) for row in impressions(range(3, 4))]
    with pytest.raises(UserError, match="holds '0'; expected a whole number from 1 on, or from 0 on"):
        desk.bring(desk.write("log-2.csv", as_csv(rows)))


@pytest.mark.parametrize("never", ["0000-00-00 00:00:00", "1970-01-01T00:00:00Z", "0001-01-01 00:00:00"])
def test_a_databases_word_for_no_time_is_no_click(desk, never):
    rows = [(*row[:7], row[1] if row[7] else never) for row in impressions()]
    desk.bring(desk.write("log.csv", as_csv(rows, (*HEADER[:7], "clicked_at"))), zone="UTC")
    assert list(read_table(desk.shop, "impressions")["click"]) == [row[7] for row in impressions()]


def test_a_log_in_which_all_is_clicked_is_said(desk):
    rows = [(*row[:7], 1) for row in impressions()]
    assert any("all 24 impressions are clicked" in note for note in desk.bring(desk.write("l.csv", as_csv(rows))).notes)


def test_columns_that_are_left_out_are_said(desk):
    rows = [(*row, 1250) for row in impressions()]
    done = desk.bring(desk.write("log.csv", as_csv(rows, (*HEADER, "revenue_cents"))))
    assert "log.csv: columns left out: revenue_cents" in done.notes


def test_two_columns_of_one_name_are_refused_if_one_is_needed(desk):
    rows = [(*row, 1 - row[7]) for row in impressions()]
    with pytest.raises(UserError, match=r"log\.csv: two columns are called clicked"):
        desk.bring(desk.write("log.csv", as_csv(rows, (*HEADER, "clicked"))))


def test_who_opted_out_does_not_consent(desk):
    shoppers = desk.write("shoppers.csv", "shopper_id,opted_out\nu0,yes\nu1,no\nu2,no\n")
    desk.bring(desk.write("log.csv", as_csv(impressions())), shoppers)
    assert list(read_table(desk.shop, "shoppers")["consent"]) == [False, True, True]


@pytest.mark.parametrize(("name", "value", "code"), [("price", "9.5", "CHF"), ("price (GBP)", "9.5", None)])
def test_the_currency_is_that_of_its_column_or_of_the_header(desk, name, value, code):
    header = f"product_id,category,{name}" + (",currency" if code else "")
    row = f"p1,mugs,{value}" + (f",{code}" if code else "")
    desk.bring(desk.write("log.csv", as_csv(impressions())), desk.write("products.csv", f"{header}\n{row}\n"))
    assert load_dataset(desk.shop)[1].currency == (code or "GBP")


def test_times_that_lost_digits_are_refused(desk):
    rows = [(row[0], "1.77245E+12", *row[2:]) for row in impressions()]
    with pytest.raises(UserError, match="is a time in scientific notation, whose last digits are lost"):
        desk.bring(desk.write("log.csv", as_csv(rows)))


def test_a_question_about_yes_shows_the_values_in_question(desk):
    text = as_csv([*impressions(), ("", "", "", "", "", "", "", 17)])
    with pytest.raises(UserError, match="mean yes cannot be told, for it holds '17'"):
        desk.bring(desk.write("log.csv", text))


def test_sends_with_the_time_of_a_click_are_impressions(desk):
    header = ("Message ID", "Sent At", "Profile ID", "Creative", "Clicked At")
    rows = [(*row[:4], row[1] if row[7] else "") for row in impressions()]
    desk.bring(desk.write("sends.csv", as_csv(rows, header)))
    assert list(read_table(desk.shop, "impressions")["click"]) == [row[7] for row in impressions()]
