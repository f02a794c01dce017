"""All indicators of an instrument's own bars: importing this module fills the registry."""

from __future__ import annotations

from dexml.features import calendar, price, technical, volume
from dexml.features.registry import INDICATORS, Group, Indicator, compute_columns, indicator

__all__ = ["INDICATORS", "Group", "Indicator", "compute_columns", "indicator", "sources"]

sources = (price, technical, volume, calendar)
