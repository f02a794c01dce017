"""How models and services are watched."""
