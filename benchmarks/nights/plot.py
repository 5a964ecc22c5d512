"""Plots the nights' records: the true value of the shown ads, and each challenger's lift."""

from collections.abc import Sequence
from pathlib import Path

MARKS = {"promote": ("^", "tab:green"), "refuse": ("v", "tab:red"), "abstain": ("o", "tab:grey"), "keep": ("s", "k")}


def draw(records: Sequence[dict], file: Path) -> None:
    """Plot `records` (Night as mappings, in order) to the PNG file `file`."""
    import matplotlib.pyplot as plt

    nights = range(1, len(records) + 1)
    figure, (earned, lifts) = plt.subplots(2, 1, figsize=(8, 7), sharex=True)
    earned.plot(nights, [1000 * each["true_value"] for each in records], "k-o", label="as shown, true")
    earned.plot(nights, [1000 * each["uniform_value"] for each in records], "k:", label="shown uniformly, true")
    earned.plot(nights, [1000 * each["clicks"] for each in records], "x", color="tab:blue", label="as shown, counted")
    earned.set_ylabel("clicks per 1000 impressions of the day")
    earned.legend(fontsize=8)
    for action, (mark, colour) in MARKS.items():
        which = [(night, each) for night, each in zip(nights, records, strict=True) if each["action"] == action]
        if not which:
            continue
        true = [1000 * each["true_lift"] for _, each in which]
        lifts.plot([night for night, _ in which], true, mark, color=colour, label=f"{action}: true lift", markersize=8)
    judged = [(night, each) for night, each in zip(nights, records, strict=True) if each["lift_ci"]]
    if judged:
        middle = [1000 * each["estimated_lift"] for _, each in judged]
        low = [1000 * (each["estimated_lift"] - each["lift_ci"][0]) for _, each in judged]
        high = [1000 * (each["lift_ci"][1] - each["estimated_lift"]) for _, each in judged]
        places = [night + 0.12 for night, _ in judged]
        lifts.errorbar(places, middle, (low, high), fmt="_", color="tab:blue", capsize=3, label="estimated, 95 %")
    lifts.axhline(0, color="k", linewidth=0.5)
    lifts.set_ylabel("challenger's lift, clicks per 1000")
    lifts.set_xlabel("night")
    lifts.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
