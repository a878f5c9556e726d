"""Variance-informed initialisation for implicit neural representations."""
