"""Running studies: Optuna asks, prunes and tells; Ray trainer actors train. No HTTP, no tables of its own."""
