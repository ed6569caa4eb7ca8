"""Tables that Citus spreads over the workers of a cluster: which go where, what is done so far, and how it is done."""
