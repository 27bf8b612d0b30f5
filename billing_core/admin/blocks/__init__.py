"""Blocks, and the watches that make them."""
