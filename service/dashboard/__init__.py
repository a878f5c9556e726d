"""The Optuna dashboard over our database, for looking only, with the story of each study told in its own places."""

from service.dashboard.serving import read_only, same_origin, serve_dashboard, with_key

__all__ = ["read_only", "same_origin", "serve_dashboard", "with_key"]
