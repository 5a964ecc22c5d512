"""Point-in-time features of shoppers: activity, averages of the attributes they interacted with, segments."""
