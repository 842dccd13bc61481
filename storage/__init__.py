"""Stores: one protocol each and the adapters that implement it."""
