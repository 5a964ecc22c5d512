import pytest

from components.datasets.importing.column_names import contract_word, guess_role, match_columns, plain, roles


@pytest.mark.parametrize(
    ("stem", "columns", "role"),
    [
        ("ad_log", ["Imp-ID", "Zeitpunkt", "Kunde", "Anzeige", "geklickt"], "impressions"),
        ("曝光日志", ["曝光ID", "曝光时间", "用户ID", "创意ID", "是否点击"], "impressions"),
        ("creatives", ["id", "campaign", "headline"], "creatives"),
        ("商品", ["商品ID", "类目", "价格"], "products"),
        ("behaviour", ["user_id", "behavior_type", "ts", "sku"], "events"),
        ("x", ["Ad ID", "Day", "Impressions", "Clicks", "CTR"], "report"),
        ("日报", ["日期", "创意ID", "展现量", "点击量"], "report"),
        ("clicks", ["impression_id", "click_time"], "clicks"),
        ("orders", ["impression_id", "order_time", "order_value"], "conversions"),
        ("candidates", ["impression_id", "creative_id", "propensity"], "candidates"),
        ("users", ["user_id", "opt_in"], "shoppers"),
        ("campaigns", ["campaign_id", "budget"], "campaigns"),
        ("weather", ["station", "rain"], None),
        ("orders_export", ["Name", "Email", "Paid at", "Total", "Lineitem sku"], None),  # no campaigns
        ("export", ["ID", "Purchase Date", "Customer ID", "Grand Total", "Status"], None),  # neither clicks nor sales
        ("catalogue", ["id", "name", "price"], "products"),
        ("export", ["id", "name", "price"], None),
        ("export", ["user_id", "total"], None),
    ],
)
def test_the_kind_of_file_is_seen_from_its_columns(stem, columns, role):
    assert guess_role(stem, columns) == role


def test_names_count_without_case_blanks_and_signs():
    assert plain("Creative-ID ") == plain("creative_id") == "creativeid"
    assert match_columns("impressions", ["slate.creative_id", "cost (EUR)"]) == {
        "creative_id": "slate.creative_id",
        "cost": "cost (EUR)",
    }


def test_the_more_usual_of_two_names_wins():
    assert match_columns("impressions", ["date", "timestamp"])["timestamp"] == "timestamp"


def test_no_name_of_a_column_stands_twice_in_its_role():
    for name, role in roles().items():
        for column, names in role.names.items():
            assert len(set(names)) == len(names), (name, column)


def test_words_of_behaviour():
    assert contract_word("events.kind", "Add to cart") == "cart"
    assert contract_word("events.kind", "加购") == "cart"
    assert contract_word("events.kind", "logout") is None
