"""The demo catalog, drawn by Lookalike itself: seeded, so that everyone has the same one."""

from services.demo.catalog import DemoProduct, draw, products, write

__all__ = ["DemoProduct", "draw", "products", "write"]
