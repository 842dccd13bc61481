"""The lookups domain: lookups of tenants, and their items (contract lmio-watcher)."""
