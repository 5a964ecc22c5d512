import numpy as np
import pandas as pd
import pytest

from components.evaluation.log_checks.leakage import leakage_findings

START = pd.Timestamp("2026-03-01", tz="UTC")
CREATIVES, SHOPPERS, N = 240, 4000, 24_000


def shop(seed):
    """240 creatives of 80 products, no creative better than another; the log's first half and its judged half."""
    random = np.random.default_rng(seed)
    creative = np.array([f"c{code:03d}" for code in range(CREATIVES)], dtype=object)
    shopper = np.array([f"s{code:04d}" for code in range(SHOPPERS)], dtype=object)
    tables = {
        "creatives": pd.DataFrame(
            {
                "creative_id": creative,
                "product_id": [f"p{code % 80:02d}" for code in range(CREATIVES)],
                "feature_prior": random.normal(size=CREATIVES),
                "feature_style": random.choice(["a", "b"], CREATIVES),
                "feature_same": 1.0,
            }
        ),
        "products": pd.DataFrame({"product_id": [f"p{code:02d}" for code in range(80)]}),
        "shoppers": pd.DataFrame({"shopper_id": shopper, "consent": np.arange(SHOPPERS) % 20 != 0}),
    }
    position = random.integers(1, 4, 2 * N)
    rows = pd.DataFrame(
        {
            "impression_id": np.arange(2 * N).astype(str),
            "timestamp": START + pd.to_timedelta(np.arange(2 * N), unit="min"),
            "shopper_id": random.choice(shopper, 2 * N),
            "creative_id": random.choice(creative, 2 * N),
            "propensity": random.uniform(0.1, 0.5, 2 * N),
            "position": position,
            "click": (random.random(2 * N) < 0.12 / position).astype(int),
        }
    )
    return tables, rows, rows.iloc[N:].reset_index(drop=True)


def ctr(table, key, rows):
    return table[key].map(rows.groupby(key)["click"].mean())


def planted(tables, name, key, rows, **columns):
    return {**tables, name: tables[name].assign(feature_ctr=ctr(tables[name], key, rows), **columns)}


def accused(tables, judged):
    return [
        finding.message.split()[0] for finding in leakage_findings(tables, judged) if finding.severity == "critical"
    ]


@pytest.fixture(scope="module", params=[0, 1])
def log(request):
    return shop(request.param)


def test_honest_columns_are_named_as_such(log):
    tables, _, judged = log
    (finding,) = leakage_findings(tables, judged)
    assert finding.severity == "ok"
    assert "creatives.feature_prior, creatives.feature_style" in finding.message
    assert "feature_same" not in finding.message  # a column that never varies tells nothing


def test_a_ctr_of_the_whole_log_is_accused_in_words_that_say_what_to_do(log):
    tables, rows, judged = log
    findings = leakage_findings(planted(tables, "creatives", "creative_id", rows), judged)
    (finding,) = (critical for critical in findings if critical.severity == "critical")
    assert finding.kind == "leakage"
    assert finding.message.startswith("creatives.feature_ctr explains about ")
    assert "per creative" in finding.message and "features_from" in finding.message
    assert 0.2 < finding.share <= 1


def test_a_ctr_of_earlier_rows_is_honest(log):
    tables, rows, judged = log
    assert accused(planted(tables, "creatives", "creative_id", rows.iloc[:N]), judged) == []


def test_products_and_shoppers_are_asked_too(log):
    tables, rows, judged = log
    product = tables["creatives"].set_index("creative_id")["product_id"]
    of_product = rows.assign(product_id=rows["creative_id"].map(product))
    leaky = planted(tables, "products", "product_id", of_product.iloc[N:])
    assert accused(leaky, judged) == ["products.feature_ctr"]
    assert accused(planted(tables, "shoppers", "shopper_id", rows), judged) == ["shoppers.feature_ctr"]
    assert accused(planted(tables, "shoppers", "shopper_id", rows.iloc[:N]), judged) == []


def test_words_are_asked_too(log):
    tables, _, judged = log
    rank = ctr(tables["creatives"], "creative_id", judged).rank(method="first")
    words = pd.qcut(rank, 8, labels=list("abcdefgh")).astype("str")
    leaky = {**tables, "creatives": tables["creatives"].assign(feature_word=words)}
    assert accused(leaky, judged) == ["creatives.feature_word"]


def test_rows_before_features_from_do_not_count(log):
    tables, rows, judged = log
    end = judged["timestamp"].iloc[-1] + pd.Timedelta(minutes=1)
    assert accused(planted(tables, "creatives", "creative_id", rows, features_from=end), judged) == []
    middle = judged["timestamp"].iloc[N // 2]
    known = judged[judged["timestamp"] < middle]
    assert accused(planted(tables, "creatives", "creative_id", known, features_from=middle), judged) == []
    undated = planted(tables, "creatives", "creative_id", known, features_from=pd.NaT)
    assert accused(undated, judged) == ["creatives.feature_ctr"]


def test_shoppers_who_refused_do_not_count(log):
    tables, rows, judged = log
    refusers = ~tables["shoppers"]["consent"]
    theirs = ctr(tables["shoppers"], "shopper_id", rows).where(refusers, 0.0)
    assert accused({**tables, "shoppers": tables["shoppers"].assign(feature_ctr=theirs)}, judged) == []


def test_logs_without_propensities_positions_or_open_columns_are_asked_what_they_can_tell(log):
    tables, rows, judged = log
    bare = judged.drop(columns="position").assign(propensity=np.nan)
    assert accused(planted(tables, "creatives", "creative_id", rows), bare) == ["creatives.feature_ctr"]
    broken = judged.assign(propensity=judged["propensity"].where(judged.index > 0, 0.0))
    assert accused(planted(tables, "creatives", "creative_id", rows), broken) == ["creatives.feature_ctr"]
    closed = tables["creatives"][["creative_id", "product_id"]]
    assert leakage_findings({**tables, "creatives": closed}, judged) == ()
    assert leakage_findings(tables, judged.iloc[:0]) == ()


def test_where_too_little_is_known_it_says_so(log):
    tables, _, judged = log
    few = judged[judged["creative_id"].isin(tables["creatives"]["creative_id"].iloc[:3])]
    (finding,) = leakage_findings(tables, few)
    assert finding.severity == "inconclusive"
    assert "too few" in finding.message
