"""A checkpoint as it is to be stored, beside what is known of its channels' logs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ... import codec
from .channels import Known, Parts, Place, Run, Serializer, packed, parts_of, place, to_json
from .keys import key_of
from .phrases import shortened


class Encoded(NamedTuple):
    """What is stored of a checkpoint, and what a writer then knows of the logs.

    Attributes:
        columns: of its row.
        runs: what is to be added to the logs, the items as a row has them.
        ends: where these end then: JSON.
    """

    columns: dict[str, Any]
    runs: list[Run]
    ends: str
    known: Known


@dataclass
class Encoding:
    """A checkpoint on its way; its values are taken apart once, however often it is placed.

    Attributes:
        rest: the checkpoint without the values of its channels.
        changed: the channels that have another version than in the parent.
        divides: see `parts_of`.
    """

    serde: Serializer
    divides: bool
    parent_id: str
    rest: Mapping[str, Any]
    values: Mapping[str, Any]
    changed: frozenset[str]
    metadata: dict[str, Any]
    _parts: dict[str, Parts | None] = field(default_factory=dict)

    @property
    def checkpoint_id(self) -> str:
        id: str = self.rest["id"]
        return id

    def encoded(self, known: Known) -> Encoded:
        """The checkpoint behind what is known of its logs."""
        versions = self.rest["channel_versions"]
        is_parent = bool(self.parent_id) and known.checkpoint_id == self.parent_id
        places: dict[str, Place | None] = {}
        short: dict[str, Any] = {}
        runs: list[Run] = []
        ends = dict(known.ends)
        for channel, value in self.values.items():
            before = known.places.get(channel)
            if is_parent and before is not None and self._is_same(channel, versions, known.versions):
                places[channel] = before
                continue
            if channel not in self._parts:
                self._parts[channel] = parts_of(self.serde, value, divides=self.divides)
            if (parts := self._parts[channel]) is None:
                places[channel], short[channel] = None, value
                continue
            key, end = key_of(channel), ends.get(channel, 0)
            places[channel], new, entries = place(parts, before, end)
            if new:
                runs += packed(key, new, entries, end)
                ends[channel] = end + len(new)
        rest = {name: value for name, value in self.rest.items() if name != "id"}
        form, data = self.serde.dumps_typed({**rest, "channel_values": short})
        inside = {channel: each for channel, each in places.items() if each is not None}
        start, stop, main = max(
            ((*each.ranges[0], key_of(channel)) for channel, each in inside.items() if len(each.ranges) == 1),
            key=lambda found: found[1] - found[0],
            default=(0, 0, ""),
        )
        columns = {
            "parent_id": self.parent_id,
            "run_id": run_key(self.metadata.get("run_id")),
            "type": form,
            "data": shortened(data),
            "places": codec.dumps(to_json(places)),
            "main": main,
            "main_start": start,
            "main_stop": stop,
            "metadata": self.metadata,
        }
        version = new_version() if runs else known.version
        return Encoded(
            columns,
            [run._replace(items=shortened(run.items)) for run in runs],
            codec.dumps(ends),
            Known(known.namespace, version, ends, self.checkpoint_id, versions, inside),
        )

    def _is_same(self, channel: str, versions: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
        version = versions.get(channel)
        return channel not in self.changed and version is not None and before.get(channel) == version


def new_version() -> int:
    """A version of a namespace's logs that none had before, also none that was rolled back."""
    return secrets.randbits(63)


def run_key(run_id: object) -> str:
    """What the column of runs has for a run's id; empty for what is none."""
    return key_of(run_id) if isinstance(run_id, str) else ""
