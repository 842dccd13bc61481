"""What every layer has to agree on about lookups: declarations, values and their forms, ids, search text. Pure, no store."""
