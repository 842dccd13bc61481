"""Hooks: what an admin has done before and after each copy. Contract streamweave §7.

Everything that a hook does blocks: ask them in a thread.
"""
