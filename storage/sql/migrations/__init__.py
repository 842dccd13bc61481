"""Schema migrations (Alembic), the same for every database, run by `switchyard migrate` and at start-up."""
