"""Methods with a server: it holds the model, and in each round a sample of clients works on data of their own."""

__all__ = []
