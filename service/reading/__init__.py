"""Uploaded bytes -> a signal, in a process of its own under limits: one module a kind of file, ``child`` runs them."""
