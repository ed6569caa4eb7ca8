"""The item log: states of checkpoints in what is new. It knows neither Django nor who keeps it."""
