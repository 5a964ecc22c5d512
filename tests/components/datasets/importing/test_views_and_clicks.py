import pytest

from components.contract.files.tables import read_table
from components.settings.errors import UserError

VIEWS = "impression_id,time,user_id,creative_id\n" + "".join(
    f"v{n},2026-03-01T0{n}:00:00Z,u{n % 2},a\n" for n in range(4)
)


def clicks(desk) -> list[int]:
    return list(read_table(desk.shop, "impressions")["click"])


def test_clicks_are_joined_by_id(desk):
    marks = "impression_id,click_time\nv1,2026-03-01T01:00:05Z\nv1,2026-03-01T01:00:09Z\nv3,2026-03-01T03:01:00Z\n"
    desk.bring(desk.write("views.csv", VIEWS), desk.write("clicks.csv", marks))
    assert clicks(desk) == [0, 1, 0, 1]


def test_clicks_without_ids_belong_to_the_last_view_within_half_an_hour(desk):
    views = "time,user_id,creative_id\n" + "".join(
        f"2026-03-01T00:{minute}:00Z,{user},a\n" for minute, user in (("00", "u"), ("10", "u"), ("11", "w"))
    )
    marks = "user_id,creative_id,time\nu,a,2026-03-01T00:10:05Z\nw,a,2026-03-01T00:45:00Z\nw,b,2026-03-01T00:12:00Z\n"
    done = desk.bring(desk.write("views.csv", views), desk.write("clicks.csv", marks))
    assert clicks(desk) == [0, 1, 0]
    assert "2 of 3 clicks belong to no impression and are left out" in done.notes
    assert any("the last view of its creative by its shopper" in note for note in done.notes)


def test_clicks_that_belong_to_nothing_are_refused(desk):
    marks = "impression_id,click_time\nx1,2026-03-01T01:00:05Z\n"
    with pytest.raises(UserError, match="none of 1 clicks belongs to an impression"):
        desk.bring(desk.write("views.csv", VIEWS), desk.write("clicks.csv", marks))
    assert not desk.shop.exists()


def test_impressions_without_any_word_of_clicks_are_refused(desk):
    with pytest.raises(UserError, match="no column says which were clicked"):
        desk.bring(desk.write("views.csv", VIEWS))


def test_rows_of_both_kinds_in_one_file(desk):
    rows = "impression_id,event_type,time,user_id,creative_id\n"
    rows += "v1,view,2026-03-01T01:00:00Z,u,a\nv2,view,2026-03-01T02:00:00Z,u,b\nv2,click,2026-03-01T02:00:07Z,u,b\n"
    desk.bring(desk.write("adlog.csv", rows))
    assert clicks(desk) == [0, 1]


def test_a_conversion_without_a_click_is_left_out_and_said(desk):
    log = "impression_id,time,user_id,creative_id,click,conversion\n"
    log += "v1,2026-03-01T01:00:00Z,u,a,0,1\nv2,2026-03-01T02:00:00Z,u,b,1,1\nv3,2026-03-20T02:00:00Z,u,b,0,\n"
    done = desk.bring(desk.write("log.csv", log))
    assert list(read_table(desk.shop, "impressions")["conversion"]) == [0, 1, 0]
    assert any("1 conversions without a click" in note for note in done.notes)
