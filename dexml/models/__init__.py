"""Models of the targets, and the registry that keeps their versions."""
