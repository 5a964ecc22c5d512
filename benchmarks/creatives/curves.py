"""Curves of the race -> one picture: Frechet distance against CPU-seconds, real photos as the floor."""

from pathlib import Path


def draw(rows: list[dict], floor: dict, path: Path) -> None:
    """Rows of `creatives_quality` -> PNG at `path`."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for row in rows:
        spent = [point["cpu_seconds"] for point in row["curve"]]
        label = f"{row['model']}, CAS {row['cas']:.3f}"
        axes.plot(spent, [point["frechet"] for point in row["curve"]], marker="o", markersize=4, label=label)
    axes.axhline(floor["frechet"], color="grey", linestyle=":", label=f"real photos, CAS {floor['cas']:.3f}")
    axes.set(xlabel="CPU-seconds of training", ylabel="Frechet distance (own features)", yscale="log")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
