"""Subscriptions of clients: one watcher of the database for all of them, equal ones read together, over WebSocket and SSE."""
