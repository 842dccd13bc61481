"""Where the items of lookups live. Declarations are rows of the relational store, whatever holds the items."""
