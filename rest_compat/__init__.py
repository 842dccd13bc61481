"""REST endpoints generated from GraphQL operation documents. Knows transports and dialects, never domains or stores."""
