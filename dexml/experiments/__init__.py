"""What runs the decision kernel over a history."""
