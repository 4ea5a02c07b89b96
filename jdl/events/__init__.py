"""Events in time, planned on the host in double precision, and the waves in which they are executed; NumPy alone.

A plan is made in three steps: when nodes act (`poisson`, `devices`), with whom (`paired`, or `busy_pairs` where a
transfer keeps two nodes busy, or `meetings` at times of their own), and in which wave each event is executed (`waves`).
Nothing here knows a method.

Where messages take time, a node sends in one act and another one reads in a later act (`MailActs`). Who sends what to
whom is planned by `push`, `pull`, `push_pull`, `tokens`, `publish`, `split` and `walks`; `mail_waves` puts the acts
into waves, and the messages into places in which they wait.
"""

from jdl.events.absent import Absences, absences
from jdl.events.acts import LAWS, Acts, devices, means, poisson
from jdl.events.apart import alone_and_meeting, meetings, since_last
from jdl.events.busy import busy_pairs
from jdl.events.mail import MailActs, mail_ages
from jdl.events.mail_pulls import pull, push_pull
from jdl.events.mail_pushes import push
from jdl.events.mail_split import split
from jdl.events.mail_tokens import STRATEGIES, tokens
from jdl.events.mail_walks import walks
from jdl.events.mail_waves import MailTable, mail_waves
from jdl.events.pairs import Events, paired, staleness
from jdl.events.publish import publish
from jdl.events.spare import with_spare_nodes
from jdl.events.waves import WaveTable, waves

__all__ = [
    "LAWS",
    "STRATEGIES",
    "Absences",
    "Acts",
    "Events",
    "MailActs",
    "MailTable",
    "WaveTable",
    "absences",
    "alone_and_meeting",
    "busy_pairs",
    "devices",
    "mail_ages",
    "mail_waves",
    "means",
    "meetings",
    "paired",
    "poisson",
    "publish",
    "pull",
    "push",
    "push_pull",
    "since_last",
    "split",
    "staleness",
    "tokens",
    "walks",
    "waves",
    "with_spare_nodes",
]
