"""Carrying out intents."""
