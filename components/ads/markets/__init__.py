"""Rules on ads by market: words that law or ad networks ban, and marks that an ad must show."""
