"""Images and the images they came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models.query import QuerySet

#: How far a family is followed: up, and down, in generations; and how many images of a generation are shown.
_ANCESTORS, _DESCENDANTS, _SHOWN = 10, 4, 100


@dataclass(frozen=True)
class Member:
    """An image in a family tree, `depth` generations below the first one shown."""

    image: Any
    depth: int


def family(images: QuerySet[Any], image: Any) -> list[Member]:
    """An image, those it came from, and those that came from it, each after its parent."""
    line = [image]
    while len(line) <= _ANCESTORS and (parent_id := line[-1].parent_image_id):
        parent = images.filter(pk=parent_id).first()
        if parent is None or any(parent.pk == each.pk for each in line):
            break
        line.append(parent)
    generation, found = [image], []
    known = {each.pk for each in line}
    for _ in range(_DESCENDANTS):
        parents = [each.pk for each in generation]
        children = images.filter(parent_image_id__in=parents).order_by("created_at", "pk")[:_SHOWN]
        generation = [each for each in children if each.pk not in known]
        known |= {each.pk for each in generation}
        found += generation
        if not generation:
            break
    above = [Member(each, depth) for depth, each in enumerate(reversed(line[1:]))]
    return above + [Member(each.image, each.depth + len(above)) for each in forest([image, *found])]


def forest(images: Iterable[Any]) -> list[Member]:
    """Images, each after the one it came from, if that is among them."""
    by_id = {image.pk: image for image in images}
    children = defaultdict(list)
    for image in by_id.values():
        children[image.parent_image_id if image.parent_image_id in by_id else None].append(image)
    members: list[Member] = []
    placed: set[Any] = set()
    # Where images name each other as parents in a ring, none is a root: the first of them stands for one.
    for root in [*children[None], *by_id.values()]:
        stack = [(root, 0)] if root.pk not in placed else []
        while stack:
            image, depth = stack.pop()
            if image.pk not in placed:
                placed.add(image.pk)
                members.append(Member(image, depth))
                stack += [(child, depth + 1) for child in reversed(children[image.pk])]
    return members
