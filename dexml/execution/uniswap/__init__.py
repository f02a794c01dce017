"""Uniswap in exact integers: what its contracts compute, computed here, to the smallest unit."""
