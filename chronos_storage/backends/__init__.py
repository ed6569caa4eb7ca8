"""What can be stored, and who keeps it."""
