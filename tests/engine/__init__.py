"""Django's PostgreSQL, but that its test databases are a cluster's."""
