"""The relational store: tables, migrations, and the adapters that run statements."""
