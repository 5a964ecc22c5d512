"""The names of the data sets that come with Adloom."""

MARKETPLACE, OPENBANDIT, STOREFRONT = "marketplace", "openbandit", "storefront"
SHIPPED = (MARKETPLACE, OPENBANDIT)  # built and run if no name is given
ALL_SHIPPED = (*SHIPPED, STOREFRONT)
SIMULATED = (MARKETPLACE, STOREFRONT)  # built from a scenario of the simulator
