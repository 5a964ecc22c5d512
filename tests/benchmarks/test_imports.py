import pytest

from benchmarks.import_files import SHAPES, made_log
from benchmarks.imports import run_case

LOG = made_log(7, rows=240)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_is_read_wrongly(shape, tmp_path, monkeypatch):
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "state"))
    outcome, detail = run_case(SHAPES[shape](LOG), tmp_path)
    assert outcome in ("right", "asked", "refused"), detail


def test_there_are_as_many_shapes_as_the_page_says():
    assert len(SHAPES) >= 60
