"""What every event queue must do, as test classes: one file a group, all of them in `EventQueueConformance`."""

from __future__ import annotations

from .bad_input import BadQueueInputContract
from .consumers import ConsumerContract
from .live import StreamContract, SubscriptionContract
from .publishing import PublishContract
from .retention import ErasureContract, RetentionContract


class EventQueueConformance(
    PublishContract,
    ConsumerContract,
    RetentionContract,
    ErasureContract,
    BadQueueInputContract,
    StreamContract,
    SubscriptionContract,
):
    """The whole contract. Subclass it with the fixtures that `chronos_storage.testing` names."""
