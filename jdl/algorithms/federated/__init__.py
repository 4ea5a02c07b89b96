"""A server holds the model; in each round it asks a sample of clients for local work on data of their own."""

__all__ = []
