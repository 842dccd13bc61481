"""The instruments domain: instruments, harvests, files and where they went (contract streamweave)."""
