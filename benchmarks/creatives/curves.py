"""Plots Frechet distance over CPU-seconds of training, with the distance of real photos as the lower limit."""

from pathlib import Path


def draw(rows: list[dict], floor: dict, path: Path) -> None:
    """Plot the rows of `creatives_quality` to the PNG file `path`."""
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
