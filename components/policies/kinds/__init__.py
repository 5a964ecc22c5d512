"""The policies that can be chosen: each is one file here and one line in components/policies/policy_kinds.py."""
