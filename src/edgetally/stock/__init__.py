"""Stock: how much of each class is at a site, and what people counted there."""

from edgetally.stock.correcting import Recount, correct, site_meant
from edgetally.stock.levels import StockLevel, seen_stock, stock_levels

__all__ = ["Recount", "StockLevel", "correct", "seen_stock", "site_meant", "stock_levels"]
