"""How a forecast or a strategy is judged."""
