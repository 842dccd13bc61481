"""Benchmarks: ratios between ways to answer the same request, measured side by side in one run."""
