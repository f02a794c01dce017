"""Alembic scripts, one for each schema revision."""
