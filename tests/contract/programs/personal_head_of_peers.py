"""A base that is averaged among peers and a head that stays at home: D-PSGD whose message is the base alone.

    z_i = x_i - lr g_i(x_i);   base(x_i) <- sum_j W_ij base(z_j);   head(x_i) <- head(z_i)

Source: Arivazhagan et al. 2019, see `personal_head`; without a server it is D-PSGD on the base.
"""

from flax import struct

from jdl import tree
from jdl.types import number, static
from programs.personal_head import join, part


@struct.dataclass
class PersonalHeadOfPeers:
    lr: float = number(0.1, minimum=0)
    private: tuple[str, ...] = static(())
    needs, phases = frozenset({"peers", "row_stochastic", "grad"}), (("send", "recv"),)

    def init(self, params, node):
        return params

    def send(self, state, node):
        z = tree.axpy(-self.lr, node.grad(state)[0], state)
        return part(z, self.private, head=False), z

    def recv(self, state, inbox, node):
        return join(inbox, part(state, self.private, head=True)), {}

    def model(self, state):
        return state
