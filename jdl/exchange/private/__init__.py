"""Messages with noise: at each sender, at a server, between neighbours, and masks that cancel."""

from jdl.exchange.private.client_privacy import ClientPrivacy
from jdl.exchange.private.decor import Decor
from jdl.exchange.private.message_noise import MessageNoise
from jdl.exchange.private.quantile_clipping import QuantileClipping
from jdl.exchange.private.secure_aggregation import SecureAggregation
from jdl.exchange.private.tree_noise import TreeNoise
from jdl.exchange.private.zip_dl import ZipDL

__all__ = ["ClientPrivacy", "Decor", "MessageNoise", "QuantileClipping", "SecureAggregation", "TreeNoise", "ZipDL"]
