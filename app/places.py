"""A request's place among those under way, of which there are only so many."""

PLACE = "switchyard.place"
"""In the scope of a request: gives its place to another, for what may stay for long and has a bound of its own."""
