"""A real chain on this machine: anvil, the contracts of Uniswap, tokens, and everything that fails.

Nothing of it is part of dexml but our own test tokens; `dexml chain fetch` gets the rest.
"""

from __future__ import annotations

from dexml.simulation.chain.local import LocalChain
from dexml.simulation.chain.packages import cache_folder, fetch, fetched

__all__ = ["LocalChain", "cache_folder", "fetch", "fetched"]
