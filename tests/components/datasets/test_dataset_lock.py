"""One pull or import of a data set at a time."""

import pytest

from components.datasets.dataset_lock import dataset_lock
from components.settings.errors import UserError


def test_a_second_writer_is_told_and_another_data_set_is_free(tmp_path, monkeypatch):
    monkeypatch.setenv("ADLOOM_STATE", str(tmp_path / "state"))
    with dataset_lock("shop"):
        with pytest.raises(UserError, match="shop: another pull or import of it is running"), dataset_lock("shop"):
            raise AssertionError("two writers at once")
        with dataset_lock("other"):
            pass
    with dataset_lock("shop"):
        pass
