"""What whoever runs a store needs on day two, each a function that a command, or a task queue, calls."""
