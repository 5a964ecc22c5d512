from components.contract.files.tables import read_table
from tests.components.datasets.importing.conftest import HEADER, as_csv, impressions


def test_rows_without_a_needed_value_are_told(desk):
    rows = [(*row[:4], "" if number else "spring", *row[5:]) for number, row in enumerate(impressions())]
    notes = desk.bring(desk.write("log.csv", as_csv(rows))).notes
    assert "23 of 24 rows of impressions have no campaign and go to quarantine" in notes


def test_errors_of_a_spreadsheet_are_no_ids(desk):
    rows = [(*row[:3], "#REF!" if number == 3 else row[3], *row[4:]) for number, row in enumerate(impressions())]
    notes = desk.bring(desk.write("log.csv", as_csv(rows))).notes
    assert "1 of 24 rows of impressions have no creative_id and go to quarantine" in notes
    assert set(read_table(desk.shop, "creatives")["creative_id"]) == {"b0", "b1"}


def test_ids_that_no_row_of_their_table_has_are_told(desk):
    rows = [(*row, "81") for row in impressions()]
    log = desk.write("log.csv", as_csv(rows, (*HEADER, "product_id")))
    notes = desk.bring(log, desk.write("products.csv", "product_id,category\n00081,mugs\n")).notes
    assert "2 rows of creatives go to quarantine: their product_id, such as '81', is in no row of products" in notes
