"""What a shopper has done -> what they like, as of a moment; and groups of like shoppers."""
