"""Photos in a simulated shop: those that are sold, and the look for which shoppers have tastes."""
