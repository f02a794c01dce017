"""A market whose next move has a known probability at every bar: the yardstick of the product."""

from dexml.simulation.market.config import INSTRUMENTS, MarketConfig
from dexml.simulation.market.drivers import DRIVERS, NUISANCE, PRICE_DRIVERS
from dexml.simulation.market.planted import PlantedMarket, plant

__all__ = [
    "DRIVERS",
    "INSTRUMENTS",
    "NUISANCE",
    "PRICE_DRIVERS",
    "MarketConfig",
    "PlantedMarket",
    "plant",
]
