"""Messages with noise: at each sender, at a server, between neighbours, and masks that cancel."""

__all__ = []
