"""Ten nights of a small shop, one after the other, as a team's scheduler would run them."""
