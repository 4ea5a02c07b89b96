"""The methods, each written for one node in a file of its own, in the folder of its family; all are exported here.

To add one: copy `_skeleton.py` into a family, fill it, export it.
"""

from jdl import checks
from jdl.algorithms.asynchronous.a2cid2 import A2CiD2
from jdl.algorithms.asynchronous.ad_psgd import ADPSGD
from jdl.algorithms.asynchronous.dadao import DADAO
from jdl.algorithms.asynchronous.gossip_learning import GossipLearning
from jdl.algorithms.compressed.beer import BEER
from jdl.algorithms.compressed.cdproxsgt import CDProxSGT
from jdl.algorithms.compressed.dcd import DCD
from jdl.algorithms.compressed.deepsqueeze import DeepSqueeze
from jdl.algorithms.compressed.ecd import ECD
from jdl.algorithms.compressed.ef21 import EF21
from jdl.algorithms.compressed.lead import LEAD
from jdl.algorithms.compressed.powergossip import PowerGossip
from jdl.algorithms.corrected.atg import ATG
from jdl.algorithms.corrected.aug_dgm import AugDGM
from jdl.algorithms.corrected.d2 import D2
from jdl.algorithms.corrected.diging import DIGing
from jdl.algorithms.corrected.dproxsgt import DProxSGT
from jdl.algorithms.corrected.exact_diffusion import ExactDiffusion
from jdl.algorithms.corrected.extra import EXTRA
from jdl.algorithms.corrected.gradient_tracking import GradientTracking
from jdl.algorithms.corrected.gt_saga import GTSAGA
from jdl.algorithms.corrected.gt_sarah import GTSARAH
from jdl.algorithms.corrected.gt_vr import GTVR
from jdl.algorithms.corrected.gtadam import GTAdam
from jdl.algorithms.corrected.kgt import KGT
from jdl.algorithms.corrected.led import LED
from jdl.algorithms.corrected.momentum_tracking import MomentumTracking
from jdl.algorithms.corrected.nesterov_gradient_tracking import NesterovGradientTracking
from jdl.algorithms.corrected.nids import NIDS
from jdl.algorithms.corrected.wang_elia import WangElia
from jdl.algorithms.dual.admm import ADMM
from jdl.algorithms.dual.dinno import DiNNO
from jdl.algorithms.dual.dlm import DLM
from jdl.algorithms.dual.lt_admm import LTADMM
from jdl.algorithms.dual.lt_admm_vr import LTADMMVR
from jdl.algorithms.dual.opapc import OPAPC
from jdl.algorithms.dual.proxskip import ProxSkip
from jdl.algorithms.federated.afl import AFL
from jdl.algorithms.federated.cdfl import CDFL
from jdl.algorithms.federated.drfa import DRFA
from jdl.algorithms.federated.easgd import EASGD
from jdl.algorithms.federated.fedac import FedAc
from jdl.algorithms.federated.fedamd import FedAMD
from jdl.algorithms.federated.fedasync import FedAsync
from jdl.algorithms.federated.fedavg import FedAvg
from jdl.algorithms.federated.fedavgm import FedAvgM
from jdl.algorithms.federated.fedbuff import FedBuff
from jdl.algorithms.federated.fedcompass import FedCompass
from jdl.algorithms.federated.feddyn import FedDyn
from jdl.algorithms.federated.fedlin import FedLin
from jdl.algorithms.federated.fedlt import FedLT
from jdl.algorithms.federated.fednova import FedNova
from jdl.algorithms.federated.fedopt import FedOpt
from jdl.algorithms.federated.fedpd import FedPD
from jdl.algorithms.federated.fedprox import FedProx
from jdl.algorithms.federated.fedsgd import FedSGD
from jdl.algorithms.federated.fedspeed import FedSpeed
from jdl.algorithms.federated.fedsplit import FedSplit
from jdl.algorithms.federated.fetchsgd import FetchSGD
from jdl.algorithms.federated.fsvrg import FSVRG
from jdl.algorithms.federated.mimelite import MimeLite
from jdl.algorithms.federated.q_fedavg import QFedAvg
from jdl.algorithms.federated.scaffnew import Scaffnew
from jdl.algorithms.federated.scaffold import Scaffold
from jdl.algorithms.gossip.average_direction_sam import AverageDirectionSAM
from jdl.algorithms.gossip.cta import CTA
from jdl.algorithms.gossip.dadam import DAdam
from jdl.algorithms.gossip.decentlam import DecentLaM
from jdl.algorithms.gossip.delta_sgd import DeltaSGD
from jdl.algorithms.gossip.dfedavgm import DFedAvgM
from jdl.algorithms.gossip.dfedsam import DFedSAM
from jdl.algorithms.gossip.dgd import DGD
from jdl.algorithms.gossip.dmsgd import DmSGD
from jdl.algorithms.gossip.dpsgd import DPSGD
from jdl.algorithms.gossip.dsgdm import DSGDm
from jdl.algorithms.gossip.local_only import LocalOnly
from jdl.algorithms.gossip.overlap_sgp import OverlapSGP
from jdl.algorithms.gossip.pens import PENS
from jdl.algorithms.gossip.push_sum import PushSum
from jdl.algorithms.gossip.qg_adam import QGAdam
from jdl.algorithms.gossip.qg_dsgdm import QGDSGDm
from jdl.algorithms.gossip.relaysgd import RelaySGD
from jdl.algorithms.gossip.scaled_local_sgd import ScaledLocalSGD
from jdl.algorithms.gossip.swarm_sgd import SwarmSGD
from jdl.algorithms.outer.async_diloco import AsyncDiLoCo
from jdl.algorithms.outer.demo import DeMo
from jdl.algorithms.outer.diloco import DiLoCo
from jdl.algorithms.outer.dilocox import DiLoCoX
from jdl.algorithms.outer.eager_diloco import EagerDiLoCo
from jdl.algorithms.outer.gossip_diloco import GossipDiLoCo
from jdl.algorithms.outer.muloco import MuLoCo
from jdl.algorithms.outer.slowmo import SlowMo
from jdl.algorithms.outer.sparseloco import SparseLoCo
from jdl.algorithms.outer.sparta import SPARTA
from jdl.algorithms.outer.streaming_diloco import StreamingDiLoCo

__all__ = [
    "ADMM",
    "A2CiD2",
    "ADPSGD",
    "AFL",
    "ATG",
    "AsyncDiLoCo",
    "AugDGM",
    "AverageDirectionSAM",
    "BEER",
    "CDFL",
    "CDProxSGT",
    "CTA",
    "D2",
    "DADAO",
    "DAdam",
    "DCD",
    "DFedAvgM",
    "DFedSAM",
    "DGD",
    "DIGing",
    "DLM",
    "DPSGD",
    "DProxSGT",
    "DRFA",
    "DSGDm",
    "DeMo",
    "DecentLaM",
    "DeepSqueeze",
    "DeltaSGD",
    "DiLoCo",
    "DiLoCoX",
    "DiNNO",
    "DmSGD",
    "EASGD",
    "ECD",
    "EF21",
    "EXTRA",
    "EagerDiLoCo",
    "ExactDiffusion",
    "FSVRG",
    "FedAMD",
    "FedAc",
    "FedAsync",
    "FedAvg",
    "FedAvgM",
    "FedBuff",
    "FedCompass",
    "FedDyn",
    "FedLin",
    "FedLT",
    "FedNova",
    "FedOpt",
    "FedPD",
    "FedProx",
    "FedSGD",
    "FedSpeed",
    "FedSplit",
    "FetchSGD",
    "GTSAGA",
    "GTSARAH",
    "GTVR",
    "GTAdam",
    "GossipDiLoCo",
    "GossipLearning",
    "GradientTracking",
    "KGT",
    "LEAD",
    "LED",
    "LTADMM",
    "LTADMMVR",
    "LocalOnly",
    "MimeLite",
    "MomentumTracking",
    "MuLoCo",
    "NIDS",
    "NesterovGradientTracking",
    "OPAPC",
    "OverlapSGP",
    "PENS",
    "PowerGossip",
    "ProxSkip",
    "PushSum",
    "QFedAvg",
    "QGAdam",
    "QGDSGDm",
    "RelaySGD",
    "SPARTA",
    "Scaffnew",
    "Scaffold",
    "ScaledLocalSGD",
    "SlowMo",
    "SparseLoCo",
    "StreamingDiLoCo",
    "SwarmSGD",
    "WangElia",
]

checks.name_fields(__name__)
