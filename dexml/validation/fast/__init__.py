"""Passes over whole histories in machine code, for sweeps and simulations."""
