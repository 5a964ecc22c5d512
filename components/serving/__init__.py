"""The champion answering requests over HTTP, and the log of what was shown, clicked and done.

`Service` decides with the policy that the gate passed, in the form that passed, with the probabilities that the
evaluation judged. `ChampionWatch` loads it from the registry and follows the alias. `Journal` makes every decision and
report durable before it is answered; `served_log.collect` adds whole days of it to the data set.
"""
