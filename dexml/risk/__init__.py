"""From a signal to a position: policy, sizing, exits, tail risk, score."""
