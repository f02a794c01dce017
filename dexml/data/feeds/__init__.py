"""Bars of exchanges, past and as they close."""
