import pytest

from components.contract.files.tables import read_table
from components.settings.errors import UserError


def shown(desk) -> list[tuple]:
    table = read_table(desk.shop, "impressions")
    return list(zip(table["impression_id"], table["creative_id"], table["position"], table["click"], strict=True))


DUE = [("r1-1", "a", 1, 0), ("r1-2", "b", 2, 1), ("r2-1", "b", 1, 0), ("r2-2", "c", 2, 0), ("r3-1", "a", 1, 1)]
TIMES = [f"2026-03-01T0{hour}:00:00Z" for hour in range(3)]


@pytest.mark.parametrize("separator", ["|", ";"])
def test_lists_in_cells_become_rows(desk, separator):
    rows = [("r1", "a|b", "0|1"), ("r2", "b|c", "0|0"), ("r3", "a", "1")]
    lines = [f"{r},{t},u,{ads},{clicks}" for (r, ads, clicks), t in zip(rows, TIMES, strict=True)]
    text = "\n".join(["request_id,time,user_id,creative_ids,clicks", *lines]).replace("|", separator)
    desk.bring(desk.write("log.csv", text.replace("request_id", "impression_id")))
    assert shown(desk) == DUE


def test_lists_with_brackets_become_rows(desk):
    rows = [("r1", "['a', 'b']", "[0, 1]"), ("r2", "['b', 'c']", "[0, 0]"), ("r3", "['a']", "[1]")]
    lines = [f'{r},{t},u,"{ads}","{clicks}"' for (r, ads, clicks), t in zip(rows, TIMES, strict=True)]
    desk.bring(desk.write("log.csv", "\n".join(["impression_id,time,user_id,creative_ids,clicks", *lines])))
    assert shown(desk) == DUE


def test_numbered_columns_become_rows(desk):
    rows = [("r1", "a,0,b,1"), ("r2", "b,0,c,0"), ("r3", "a,1,,")]
    lines = [f"{r},{t},u,{cells}" for (r, cells), t in zip(rows, TIMES, strict=True)]
    header = "impression_id,time,user_id,creative_1,click_1,creative_2,click_2"
    desk.bring(desk.write("log.csv", "\n".join([header, *lines])))
    assert shown(desk) == DUE


def test_a_later_file_of_single_creatives_follows_the_mapping(desk):
    header = "impression_id,time,user_id,creative_ids,clicks"
    desk.bring(desk.write("log-1.csv", f"{header}\nr1,{TIMES[0]},u,a|b,0|1\nr1b,{TIMES[0]},u,a|b,0|0\n"))
    desk.bring(desk.write("log-2.csv", f"{header}\nr2,2026-03-02T00:00:00Z,u,a,1\n"))
    assert shown(desk)[-1] == ("r2-1", "a", 1, 1)


def test_lists_of_different_lengths_are_refused(desk):
    header = "impression_id,time,user_id,creative_ids,clicks"
    desk.bring(desk.write("log-1.csv", f"{header}\nr1,{TIMES[0]},u,a|b,0|1\nr2,{TIMES[1]},u,a|b,0|0\n"))
    with pytest.raises(UserError, match=r"row 2: clicks has 1 elements where creative_ids has 2"):
        desk.bring(desk.write("log-2.csv", f"{header}\nr3,2026-03-02T00:00:00Z,u,a|b,0\n"))
