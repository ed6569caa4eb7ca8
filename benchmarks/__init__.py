"""How fast the storage is, each figure beside the same work done with the bare driver in the same run."""
