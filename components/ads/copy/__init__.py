"""The texts of ads: which are admitted, and which are chosen."""
