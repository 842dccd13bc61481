"""The graph's types, inputs and roots: declarations and descriptions, one folder per domain."""
