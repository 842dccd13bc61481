"""GraphQL execution: documents, limits, plans, SQL, pages. Knows GraphQL and SQL, never the domains."""
