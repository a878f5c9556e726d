"""What is wrong with an installation, found without changing it."""
