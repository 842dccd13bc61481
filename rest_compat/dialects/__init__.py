"""One module per service: what is uniform in its replies."""
