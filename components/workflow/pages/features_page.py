"""The page of the stage features."""

from components.workflow.pages.markdown_parts import items, joined, table


def features_page(built) -> str:
    """The page of the stage features: sizes, what this data set cannot have, and a few shopper profiles."""
    impressions = built.impressions
    splits = impressions.groupby("split")["click"].agg(["size", "sum"]).reset_index()
    columns = [name for name in impressions if name.startswith(("shopper_", "context_"))]
    profiles = built.shopper_profiles.head(8)
    parts = [
        "# Features",
        f"{len(impressions):,} impressions x {len(columns)} columns, {len(built.creatives):,} creatives.",
        table(("split", "impressions", "clicks"), splits.to_numpy().tolist()),
        items(built.messages),
    ]
    if len(profiles):
        parts += ["## Some shopper profiles", table(list(profiles.columns), profiles.astype(str).to_numpy().tolist())]
    return joined(parts)
