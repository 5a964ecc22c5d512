import pytest
from upath import UPath

from components.datasets.importing.mapping import Mapping, mapping_text, read_mapping, write_mapping
from components.settings.errors import UserError

MINIMAL = """\
files:
- file: log.csv
  table: impressions
  columns: {click: {column: c, yes_words: [1, yes], no_words: [0]}}
"""


def written(tmp_path, text: str) -> UPath:
    path = UPath(tmp_path / "mapping.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def test_a_mapping_is_read_as_it_was_written(tmp_path):
    mapping = read_mapping(written(tmp_path, MINIMAL))
    write_mapping(mapping, UPath(tmp_path / "again.yaml"))
    assert read_mapping(UPath(tmp_path / "again.yaml")) == mapping
    assert mapping.files[0].columns["click"].yes_words == ("1", "true")  # YAML takes yes for true


def test_a_column_alone_is_written_as_its_name():
    columns = {"creative_id": {"column": "ad"}}
    mapping = Mapping.model_validate_json(
        f'{{"files": [{{"file": "a", "table": "creatives", "columns": {columns}}}]}}'.replace("'", '"')
    )
    assert "creative_id: ad\n" in mapping_text(mapping)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("files:", "zonne: UTC\nfiles:"), "mapping.yaml: zonne: unknown key"),
        (("files:", "zone: Mars\nfiles:"), "mapping.yaml: zone: 'Mars' is no time zone"),
        (("files:", "currency: euro\nfiles:"), "mapping.yaml: currency: .*got 'euro'"),
        (("table: impressions", "table: logs"), r"files.0: table: 'logs' is not known; known are report"),
        (("click:", "clickk:"), "impressions has no column clickk"),
        (("column: c", "column: c, value: 1"), "give one of column, value and made, not column and value"),
        (("column: c", "form: odd, column: c"), "form: .*got 'odd'"),
        (("file: log.csv", "file: ["), "not valid YAML"),
        ((MINIMAL, "- a"), "must be a mapping of fields, not list"),
        (("files:", "zone: &a UTC\ncurrency: *a\nfiles:"), r"aliases \(\*name\) are not allowed"),
    ],
)
def test_a_fault_names_file_key_and_value(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        read_mapping(written(tmp_path, MINIMAL.replace(*change, 1)))
