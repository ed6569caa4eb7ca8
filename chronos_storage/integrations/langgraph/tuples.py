"""Checkpoints as LangGraph has them, made of what the tables hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from langgraph.checkpoint.base import Checkpoint, CheckpointTuple, DeltaChannelHistory
from langgraph.checkpoint.serde.base import SerializerProtocol

from .channels import Known, Missing, Place
from .configs import config_of
from .keys import Where
from .knowledge import Knowledge
from .reading import Found, Logs, ancestors, one, page, writes_of

#: Checkpoints of a page of a list.
_PAGE = 50
#: How often a checkpoint is read again whose items were removed meanwhile.
_READS = 5


@dataclass(frozen=True)
class Tuples:
    """Reads checkpoints from a database.

    Attributes:
        using: its alias.
        knowledge: is told what was read, for who goes on from it.
    """

    using: str
    serde: SerializerProtocol
    knowledge: Knowledge

    def get(self, where: Where, checkpoint_id: str | None) -> CheckpointTuple | None:
        """The checkpoint of this id, or the latest; None where there is none."""
        for _ in range(_READS):
            if (found := one(self.using, where, checkpoint_id)) is None:
                if not checkpoint_id:
                    self.knowledge.forget(where.session_id)
                return None
            try:
                checkpoint = self._read(found, Logs(self.using, found), where)
            except Missing:
                continue
            return self._tuple(found, checkpoint)
        return None

    def of(self, found: Sequence[Found], logs: Logs) -> Sequence[CheckpointTuple]:
        """What was found of checkpoints, with their writes."""
        by_namespace: dict[int, list[Found]] = {}
        for each in found:
            by_namespace.setdefault(each.namespace, []).append(each)
        for namespace, theirs in by_namespace.items():
            writes = writes_of(self.using, namespace, [each.checkpoint_id for each in theirs])
            for each in theirs:
                each.writes = writes.get(each.checkpoint_id, [])
            wanted: dict[str, list[Place]] = {}
            for each in theirs:
                for channel, place in each.kept.items():
                    wanted.setdefault(channel, []).append(place)
            for channel, places in wanted.items():
                logs.items(namespace, channel, places)
        tuples = []
        for each in found:
            try:
                tuples.append(self._tuple(each, self._read(each, logs)))
            except Missing:  # it was removed meanwhile
                if again := self.get(each.where, each.checkpoint_id):
                    tuples.append(again)
        return tuples

    def pages(
        self,
        run: Callable[[Callable[[], Any]], Any],
        session_id: str | None,
        key: str | None,
        checkpoint_id: str | None,
        before: str | None,
        metadata: Mapping[str, Any],
        limit: int | None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, the newest first, read page by page.

        Args:
            run: makes each call on the database.
            key: of the namespace.
            before: of which id those before it are given.
            limit: how many are wanted, if not all; there may be more.
        """
        plain = {name: value for name, value in metadata.items() if isinstance(value, str | int | float | None)}
        others = {name: value for name, value in metadata.items() if name not in plain}
        size = _PAGE if limit is None else max(1, min(_PAGE, limit))
        after: tuple[str, int] | None = None
        logs = Logs(self.using)
        while True:
            found = run(
                partial(
                    page,
                    self.using,
                    session_id=session_id,
                    key=key,
                    checkpoint_id=checkpoint_id,
                    before=before,
                    metadata=plain,
                    after=after,
                    limit=size,
                )
            )
            matching = [each for each in found if all(each.metadata.get(name) == others[name] for name in others)]
            yield from run(partial(self.of, matching, logs))
            if len(found) < size:
                return
            after = found[-1].checkpoint_id, found[-1].pk

    def history(
        self, where: Where, checkpoint_id: str | None, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the values of delta channels are rebuilt from, as `get_delta_channel_history` says."""
        paths: dict[str, list[str]] = {channel: [] for channel in channels}
        seeds: dict[str, str] = {}
        if channels and (found := one(self.using, where, checkpoint_id)):
            left = set(channels)
            for step in ancestors(self.using, found.namespace, found.checkpoint_id):
                for channel in tuple(left):
                    paths[channel].append(step.checkpoint_id)
                    if channel in step.places:
                        seeds[channel] = step.checkpoint_id
                        left.discard(channel)
                if not left:
                    break
            longest = max(paths.values(), key=len)
            writes = writes_of(self.using, found.namespace, longest, set(channels))
        result: dict[str, DeltaChannelHistory] = {}
        values = {id: self.get(where, id) for id in set(seeds.values())}
        for channel, path in paths.items():
            history: DeltaChannelHistory = {
                "writes": [
                    (write.task_id, channel, self.serde.loads_typed((write.type, write.data)))
                    for id in reversed(path)
                    for write in writes.get(id, ())
                    if write.channel == channel
                ]
            }
            seed = values.get(seeds.get(channel, ""))
            if seed is not None:
                history["seed"] = seed.checkpoint["channel_values"][channel]
            result[channel] = history
        return result

    def _read(self, found: Found, logs: Logs, where: Where | None = None) -> Checkpoint:
        """A checkpoint with the values of its channels.

        Args:
            where: of which what was read is kept for who goes on from it.
        """
        checkpoint: Checkpoint = self.serde.loads_typed((found.type, found.data))
        short = checkpoint["channel_values"]
        places, values = found.kept, {}
        for channel in found.places:
            if place := places.get(channel):
                items = logs.items(found.namespace, channel, [place])
                values[channel], places[channel] = items.value(self.serde, place)
            else:
                values[channel] = short[channel]
        if where is not None:
            versions = dict(checkpoint["channel_versions"])
            known = Known(found.namespace, found.version, found.ends, found.checkpoint_id, versions, places)
            self.knowledge.keep(where, known)
        return {**checkpoint, "id": found.checkpoint_id, "channel_values": values}

    def _tuple(self, found: Found, checkpoint: Checkpoint) -> CheckpointTuple:
        loads = self.serde.loads_typed
        return CheckpointTuple(
            config_of(found.where, found.checkpoint_id),
            checkpoint,
            found.metadata,  # type: ignore[arg-type]  # as it was given
            config_of(found.where, found.parent_id) if found.parent_id else None,
            [(write.task_id, write.channel, loads((write.type, write.data))) for write in found.writes],
        )
