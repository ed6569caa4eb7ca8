from __future__ import annotations

from typing import Any

from ... import codec
from ...exceptions import NotFound
from ...records import Container, Image, Session
from ..arguments import filters
from .base import DocumentBase, list_of
from .places import IMAGE_FILTERS, filtered
from .work import retried


class ImageMethods(DocumentBase):
    @retried
    def save_container(self, container: Container) -> Container:
        return self.upserted(Container, container, "container")

    def get_container(self, id: str) -> Container | None:
        return self.one(Container, "container", codec.string(id, "id"))

    def list_containers(self, *, limit: int | None = None, offset: int = 0) -> list[Container]:
        partition = filtered("container", "created_at")
        return list(self.records(Container, partition, reverse=True, limit=limit, offset=offset))

    def container_exists(self, id: str) -> bool:
        return self.get_container(id) is not None

    @retried
    def delete_container(self, id: str) -> bool:
        return self.deleted("container", id)

    @retried
    def save_image(self, image: Image) -> Image:
        return self.upserted(Image, image, "image")

    def get_image(self, id: str) -> Image | None:
        return self.one(Image, "image", codec.string(id, "id"))

    def list_images(
        self, *, name: str | None = None, container_id: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Image]:
        given = filters(name=name, container_id=container_id)
        partition, where = list_of("image", "created_at", given, IMAGE_FILTERS)
        return list(self.records(Image, partition, where, reverse=True, limit=limit, offset=offset))

    def image_exists(self, id: str) -> bool:
        return self.get_image(id) is not None

    @retried
    def patch_image_metadata(self, id: str, changes: dict[str, Any]) -> Image:
        changes = codec.filterable_object(changes, "changes")
        with self.work() as work:
            image = work.get(Image, "image", codec.string(id, "id"))
            if image is None:
                raise NotFound("there is no such image")
            self.merged(work, image, changes)
        return image

    @retried
    def delete_image(self, id: str) -> bool:
        return self.deleted("image", id)

    def get_image_session(self, image_id: str) -> Session | None:
        image_id = codec.string(image_id, "image_id")
        partition = filtered("session", "created_at", "image_id", image_id)
        alive = self.records(Session, partition, lambda session: session.deleted_at is None, limit=1, reverse=True)
        return next(alive, None)
