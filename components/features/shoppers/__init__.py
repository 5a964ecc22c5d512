"""Point-in-time features of shoppers: activity, tastes, exposure to ads, segments."""
