"""Off-policy estimators and the reward models that they use."""
