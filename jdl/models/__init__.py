"""Models, most of them flax modules.

Nodes differ only in their parameters, so no model here has batch statistics.
"""

from jdl.models import layers
from jdl.models.bag_of_words import BagOfWords
from jdl.models.batch_statistics import PersonalStatistics, without_batch_statistics
from jdl.models.characters import CharGRU, CharLSTM
from jdl.models.cnn import McMahanCNN
from jdl.models.dense import MLP, Linear
from jdl.models.factorization import MatrixFactorization
from jdl.models.from_nnx import FromNNX
from jdl.models.functions import Functions
from jdl.models.lenet import GNLeNet, LeNet
from jdl.models.lora import LoRA, with_base
from jdl.models.recalibration import recalibrated
from jdl.models.recurrent import GRU, LSTM
from jdl.models.resnet import ResNet8, ResNet18, ResNet20
from jdl.models.transformer import Transformer

__all__ = [
    "BagOfWords",
    "CharGRU",
    "CharLSTM",
    "FromNNX",
    "Functions",
    "GNLeNet",
    "GRU",
    "LSTM",
    "LeNet",
    "Linear",
    "LoRA",
    "MLP",
    "MatrixFactorization",
    "McMahanCNN",
    "PersonalStatistics",
    "ResNet8",
    "ResNet18",
    "ResNet20",
    "Transformer",
    "layers",
    "recalibrated",
    "with_base",
    "without_batch_statistics",
]
