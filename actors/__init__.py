"""Owners of state and side effects on Ray. No formulas live here."""
