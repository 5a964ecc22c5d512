import gzip

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.datasets.importing.staging.reading import read_file
from components.settings.errors import UserError

TABLE = [("商品", "preis"), ("鞋子, 红", "1"), ('say "hi"\nyou', "2"), ("Hüte", "3")]


def read(path) -> list[tuple]:
    (table,) = read_file(path, path.parent)
    cells = pq.read_table(table.parquet).drop_columns("_row")
    return [tuple(cells.column_names), *(tuple(row.values()) for row in cells.to_pylist())]


def csv_text(delimiter=",", table=TABLE) -> str:
    quoted = (delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table)
    return "\r\n".join(quoted) + "\r\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_a_text_is_read_whatever_its_encoding_and_delimiter(tmp_path, encoding, delimiter):
    table = TABLE if encoding != "gb18030" else [*TABLE[:3], ("帽子", "3")]
    path = tmp_path / "t.csv"
    path.write_bytes(csv_text(delimiter, table).encode(encoding))
    assert read(path) == table


def test_a_windows_text_is_read(tmp_path):
    path = tmp_path / "t.csv"
    table = [("größe", "preis"), ("Schuh für Mädchen", "5 €")]
    path.write_bytes(csv_text(";", table).encode("cp1252"))
    assert read(path) == table


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("広告バナー", "shift_jis"), ("廣告橫幅", "big5"), ("баннер", "cp1251"), ("Książki dla młodzieży", "cp1250")],
)
def test_an_encoding_that_cannot_be_told_is_not_guessed(tmp_path, text, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(csv_text(",", [("name", "price"), (text, "1")]).encode(encoding))
    with pytest.raises(UserError, match="its encoding cannot be told; save it as UTF-8"):
        read(path)


def test_a_gzip_file_is_unpacked_and_a_cut_one_refused(tmp_path):
    path = tmp_path / "t.csv.gz"
    packed = gzip.compress(csv_text().encode() * 1)
    path.write_bytes(packed)
    assert read(path) == TABLE
    path.write_bytes(packed[:-9])
    with pytest.raises(UserError, match="damaged or cut off"):
        read(path)


def test_what_is_around_a_table_is_skipped_and_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Report of March\nShop: 1\n\na,b,c\n1,2,x\n\na,b,c\n3,4,y\nTotal,6,\n\nexported by me\n")
    (table,) = read_file(path, tmp_path)
    assert read(path) == [("a", "b", "c"), ("1", "2", "x"), ("3", "4", "y")]
    assert set(table.notes) == {
        "2 rows above the header", "1 repeated headers", "1 total rows", "1 rows below the table"
    }  # fmt: skip


def test_a_row_out_of_shape_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,2,x\n3,4\n5,6,z\n")
    with pytest.raises(UserError, match="line 3 has 2 cells where the header has 3"):
        read(path)


def test_excel_cells_keep_their_values(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["exported on Monday"])
    book.active.append(["id", "when", "price", "ok"])
    book.active.append([12, pd.Timestamp("2026-03-01 12:00").to_pydatetime(), 1.25, True])
    book.active.append(["0013", pd.Timestamp("2026-03-02").to_pydatetime(), 3, False])
    book.save(tmp_path / "t.xlsx")
    assert read(tmp_path / "t.xlsx") == [
        ("id", "when", "price", "ok"),
        ("12", "2026-03-01 12:00:00", "1.25", "true"),
        ("0013", "2026-03-02 00:00:00", "3", "false"),
    ]


def test_excel_codes_keep_the_zeros_that_their_format_shows(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["campaign", "code", "price"])
    book.active.append([7, 123, 5])
    book.active.append([8, 1234567, 7.5])
    for row in (2, 3):
        book.active.cell(row, 2).number_format = "00000"
        book.active.cell(row, 3).number_format = "0.00"
    book.save(tmp_path / "t.xlsx")
    assert read(tmp_path / "t.xlsx")[1:] == [("7", "00123", "5"), ("8", "1234567", "7.5")]


def test_sheets_of_a_workbook_are_tables(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "log"
    for sheet in (book.active, book.create_sheet("products")):
        sheet.append(["a", "b"])
        sheet.append(["x", "y"])
    book.save(tmp_path / "t.xlsx")
    assert [table.sheet for table in read_file(tmp_path / "t.xlsx", tmp_path)] == ["log", "products"]


def test_parquet_columns_become_texts_that_lose_nothing(tmp_path):
    table = pa.table(
        {
            "id": pa.array([2**53 + 1, 7]),
            "p": pa.array([0.1, None]),
            "t": pa.array([1, 2], pa.timestamp("us", "UTC")),
            "naive": pa.array([1, 2], pa.timestamp("ns")),
            "ok": pa.array([True, False]),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet")[1:] == [
        ("9007199254740993", "0.1", "1970-01-01 00:00:00.000001Z", "1970-01-01 00:00:00.000000", "true", "a"),
        ("7", None, "1970-01-01 00:00:00.000002Z", "1970-01-01 00:00:00.000000", "false", "b"),
    ]


def test_json_lines_are_read_digit_by_digit_and_slates_unfolded(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"id": 9007199254740993, "user": {"id": "u"}, "slate": [{"ad": "a", "p": 0.10}, {"ad": "b", "p": 0.9}]}\n'
        '{"id": 2, "user": {"id": null}, "slate": []}\n'
    )
    assert read(path) == [
        ("id", "user.id", "slate_position", "slate.ad", "slate.p"),
        ("9007199254740993", "u", "1", "a", "0.10"),
        ("9007199254740993", "u", "2", "b", "0.9"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b"\n\n", "no table of two columns"),
        ("header.csv", b"a,b\n", "a header and no rows"),
        ("values.csv", b"1,2\n3,4\n", "no table of two columns or more under a header row"),
        ("a.pdf", b"%PDF-1.7 x", "this is a PDF"),
        ("a.csv", b"\x89PNG\r\n\x1a\n", "this is a picture"),
        ("a.xls", b"\xd0\xcf\x11\xe0 x", "an Excel file of before 2007"),
        ("a.xls", b"<html><table>", "a page of HTML or XML"),
        ("a.zip", b"PK\x03\x04rest", "unpack it first"),
        ("a.bin", bytes(range(256)) * 20, "no text file"),
        ("a.csv", b'a,b\n"x,y\n', "line 2"),
        ("a.jsonl", b'{"a": 1}\n{"a"\n', "line 2 is no JSON"),
        ("a.jsonl", b'{"a": [1, 2], "b": [1]}\n', "lists of different lengths"),
        ("a.parquet", b"PAR1 nothing", "damaged"),
        ("a.jsonl", b'{"creative_id": "a", "candidates": [{"creative_id": "a"}]}', "lists others .candidates.: write"),
    ],
)
def test_a_file_of_the_wrong_kind_is_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_file(path, tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing.csv: there is no such file"):
        read_file(tmp_path / "nothing.csv", tmp_path)


def test_a_sheet_of_notes_beside_a_table_is_left_out_and_said(tmp_path):
    book = openpyxl.Workbook()
    for row in (("id", "click"), ("a", 1)):
        book.active.append(row)
    book.create_sheet("Notes")["A1"] = "made by hand"
    book.save(tmp_path / "log.xlsx")
    (table,) = read_file(tmp_path / "log.xlsx", tmp_path)
    assert table.columns == ("id", "click") and table.notes == ("sheets without a table are left out: Notes",)


def test_totals_of_a_report_name_what_they_sum(tmp_path):
    (tmp_path / "r.csv").write_text("day,ad,clicks\n2026-03-01,a,1\nTotal: account, --,1\n")
    (table,) = read_file(tmp_path / "r.csv", tmp_path)
    assert (table.rows, table.notes) == (1, ("1 total rows",))
