"""The search service: FastAPI, the database, the runner process and the command line."""
