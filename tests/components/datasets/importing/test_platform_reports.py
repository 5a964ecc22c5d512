import pandas as pd
import pytest

from components.contract.files.tables import has_table, read_table
from components.settings.errors import UserError
from tests.components.datasets.importing.conftest import as_csv, impressions

REPORT = """Ads report
"Mar 1, 2026 - Mar 2, 2026"
Day,Ad ID,Ad name,Campaign,Impr.,Clicks,CTR,Cost
2026-03-01,b0,Run!,spring,"1,000",20,2.00%,3.10
2026-03-02,b0,Run!,spring,"3,000",40,1.33%,9.00
2026-03-02,b1,Walk,spring,500,0,0.00%,1.00
Total,--,--,--,"4,500",60,1.33%,13.10
"""


def test_a_report_gives_creatives_their_rates_and_says_what_it_cannot_do(desk):
    done = desk.bring(desk.write("report.csv", REPORT), zone="UTC")
    creatives = read_table(desk.shop, "creatives")
    assert list(creatives["creative_id"]) == ["b0", "b1"]
    assert list(creatives["feature_prior_rate"]) == [60 / 4000, 0.0]
    assert set(creatives["features_from"]) == {pd.Timestamp("2026-03-03T00:00:00Z")}
    assert not has_table(desk.shop, "impressions")
    notes = " ".join(done.notes)
    assert "cannot teach who likes what" in notes and "`adloom run` needs a log with shoppers" in notes


def test_a_report_beside_a_log_adds_its_rates_to_the_log_s_creatives(desk):
    desk.bring(desk.write("log.csv", as_csv(impressions())), desk.write("report.csv", REPORT), zone="UTC")
    assert len(read_table(desk.shop, "impressions")) == 24
    assert list(read_table(desk.shop, "creatives")["feature_prior_rate"]) == [60 / 4000, 0.0]


def test_a_report_with_more_clicks_than_impressions_is_refused(desk):
    with pytest.raises(UserError, match="b1 has 600 clicks of 500 impressions"):
        desk.bring(desk.write("report.csv", REPORT.replace("500,0,0.00%", "500,600,0.00%")), zone="UTC")
