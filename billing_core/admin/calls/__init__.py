"""Calls: what one would get, those under way, finished ones, and what happened to them."""
