"""Writes impressions.csv and products.csv, the sample of docs/import.md: a bakery's week of ads, drawn with a seed.

    python docs/sample/make.py

A banner of each of six products is shown at random with probability 1/6. Phones like rolls, computers like cakes.
"""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PRODUCTS = (
    ("B-001", "Sourdough loaf", "bread", 4.9), ("B-002", "Rye bread, sliced", "bread", 3.6),
    ("B-003", "Cinnamon roll", "rolls", 2.2), ("B-004", 'Roll "Classic"', "rolls", 0.8),
    ("B-005", "Cheesecake", "cakes", 24.5), ("B-006", "Wedding cake, three tiers", "cakes", 1249.0),
)  # fmt: skip
NAMES = ("ID", "Zeitpunkt", "Kundennummer", "Anzeige", "Artikelnummer", "Wahrscheinlichkeit", "geklickt", "device")
LIKED = {("phone", "rolls"): 0.14, ("computer", "cakes"): 0.12}
ROWS = 4_000


def price(value: float) -> str:
    """As a German spreadsheet shows it."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,")) + " €"


def main() -> None:
    """Write both files."""
    rng = np.random.default_rng(20260301)
    with (HERE / "products.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(["Artikelnummer", "Bezeichnung", "Kategorie", "Preis"])
        writer.writerows([number, title, category, price(value)] for number, title, category, value in PRODUCTS)
    moment = datetime(2026, 3, 2)
    with (HERE / "impressions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(
            ["ID", "Zeitpunkt", "Kundennummer", "Anzeige", "Artikelnummer", "Wahrscheinlichkeit", "geklickt", "device"]
        )
        for number in range(1, ROWS + 1):
            moment += timedelta(seconds=int(rng.integers(60, 400)))
            product = PRODUCTS[int(rng.integers(len(PRODUCTS)))]
            device = ("phone", "computer")[int(rng.integers(2))]
            clicked = rng.random() < LIKED.get((device, product[2]), 0.04)
            shopper = f"{int(rng.integers(300)):05d}"
            shown = [f"banner-{product[0]}", product[0], "16,6667%", "ja" if clicked else "nein", device]
            writer.writerow([number, f"{moment:%d.%m.%Y %H:%M:%S}", shopper, *shown])


if __name__ == "__main__":
    main()
