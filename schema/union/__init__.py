"""What the domains have in common."""
