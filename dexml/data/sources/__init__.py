"""Headlines, their tone, and series of macro and social values."""
