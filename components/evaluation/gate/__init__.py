"""What the gate of promotion asks: a bound of the lift, its boundary over looks, and the ledger of looks."""
