"""Many small INRs at once: the interface and its executors."""
