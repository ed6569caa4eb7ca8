from __future__ import annotations

from typing import Any

from ...ledger.mapping import CONTAINERS, IMAGES, SESSIONS
from ...records import Container, Image, Session
from ...transactions import retried
from ..arguments import filters, required
from .base import OrmBase, pk_row, sliced

_ORDER = ("-created_at", "-id")


class ImageMethods(OrmBase):
    def save_container(self, container: Container) -> Container:
        return self.upserted(CONTAINERS, container, "container")

    @retried
    def get_container(self, id: str) -> Container | None:
        return self.one(CONTAINERS, pk_row(self.rows(CONTAINERS), id))

    @retried
    def list_containers(self, *, limit: int | None = None, offset: int = 0) -> list[Container]:
        return CONTAINERS.fetch(sliced(self.rows(CONTAINERS).order_by(*_ORDER), limit, offset))

    @retried
    def container_exists(self, id: str) -> bool:
        return pk_row(self.rows(CONTAINERS), id).exists()

    @retried
    def delete_container(self, id: str) -> bool:
        return pk_row(self.rows(CONTAINERS), id).delete()[0] > 0

    def save_image(self, image: Image) -> Image:
        return self.upserted(IMAGES, image, "image")

    @retried
    def get_image(self, id: str) -> Image | None:
        return self.one(IMAGES, pk_row(self.rows(IMAGES), id))

    @retried
    def list_images(
        self, *, name: str | None = None, container_id: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[Image]:
        rows = self.rows(IMAGES).filter(**filters(name=name, container_id=container_id))
        return IMAGES.fetch(sliced(rows.order_by(*_ORDER), limit, offset))

    @retried
    def image_exists(self, id: str) -> bool:
        return pk_row(self.rows(IMAGES), id).exists()

    @retried
    def patch_image_metadata(self, id: str, changes: dict[str, Any]) -> Image:
        return self.merged(IMAGES, id, changes)

    @retried
    def delete_image(self, id: str) -> bool:
        return pk_row(self.rows(IMAGES), id).delete()[0] > 0

    @retried
    def get_image_session(self, image_id: str) -> Session | None:
        rows = self.rows(SESSIONS).filter(deleted_at=None, **required(image_id=image_id))
        return self.one(SESSIONS, rows.order_by(*_ORDER))
