"""Ads: choice of texts, layouts, rendering, admission rules, and a pool of new creatives per campaign."""
