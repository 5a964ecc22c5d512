"""The champion answering requests over HTTP.

A decision is made by `ServedPolicy.decide`: the policy that the gate passed, in the form that passed, with the
probabilities that the evaluation judged. `ChampionWatch` loads it from the registry and follows the alias.
"""
