from __future__ import annotations

from functools import partial
from typing import Any

from .. import records
from ..async_variants import async_variant
from ..backends.base import Patch, Query
from ..codec import filterable_object, string
from ..records import Container, Image, Session
from ..redaction import redacted
from .arguments import equal, page_slice, required, start_after
from .base import FacadeBase

_ORDER = ("-created_at", "-id")


class ImageMethods(FacadeBase):
    def save_container(self, container: Container) -> Container:
        """Store a container, new or known; a known one keeps its created_at. An updated_at of None is now."""
        return self._saved(Container.of(container, "container"))

    @async_variant(save_container)
    def asave_container(self) -> Any: ...

    def get_container(self, id: str) -> Container | None:
        """The container, or None."""
        return self._one(Container, id)

    @async_variant(get_container)
    def aget_container(self) -> Any: ...

    def list_containers(
        self, *, limit: int | None = None, offset: int = 0, after: Container | None = None
    ) -> list[Container]:
        """Containers, newest first."""
        return self._select(start_after(Query(record=Container, order=_ORDER, **page_slice(limit, offset)), after))

    @async_variant(list_containers)
    def alist_containers(self) -> Any: ...

    def container_exists(self, id: str) -> bool:
        """Whether the container is there."""
        return self._exists(Container, id)

    @async_variant(container_exists)
    def acontainer_exists(self) -> Any: ...

    def delete_container(self, id: str) -> bool:
        """Remove a container and nothing else; whether it was there."""
        return self._deleted(Container, id)

    @async_variant(delete_container)
    def adelete_container(self) -> Any: ...

    def save_image(self, image: Image) -> Image:
        """Store an image, new or known; a known one keeps its created_at. An updated_at of None is now."""
        return self._saved(Image.of(image, "image"))

    @async_variant(save_image)
    def asave_image(self) -> Any: ...

    def get_image(self, id: str) -> Image | None:
        """The image, or None."""
        return self._one(Image, id)

    @async_variant(get_image)
    def aget_image(self) -> Any: ...

    def list_images(
        self,
        *,
        name: str | None = None,
        container_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        after: Image | None = None,
    ) -> list[Image]:
        """Images that match every filter given, newest first."""
        where = equal(name=name, container_id=container_id)
        return self._select(
            start_after(Query(record=Image, where=where, order=_ORDER, **page_slice(limit, offset)), after)
        )

    @async_variant(list_images)
    def alist_images(self) -> Any: ...

    def image_exists(self, id: str) -> bool:
        """Whether the image is there."""
        return self._exists(Image, id)

    @async_variant(image_exists)
    def aimage_exists(self) -> Any: ...

    def patch_image_metadata(self, id: str, changes: dict[str, Any]) -> Image:
        """Merge `changes` into the top level of the metadata, so that writers of different keys both win.

        Raises:
            NotFound: no such image.
        """
        id, merge = string(id, "id"), filterable_object(changes, "changes")
        merge = redacted(Image(metadata=merge)).metadata
        patch = Patch(merge=merge, values={"updated_at": records.now()})
        image = self._run(partial(self.backend.patch, Image, id, patch))
        self._written(image)
        return image

    @async_variant(patch_image_metadata)
    def apatch_image_metadata(self) -> Any: ...

    def delete_image(self, id: str) -> bool:
        """Remove an image and nothing else; whether it was there."""
        return self._deleted(Image, id)

    @async_variant(delete_image)
    def adelete_image(self) -> Any: ...

    def get_image_session(self, image_id: str) -> Session | None:
        """The most recently created session that names this image, or None."""
        where = required(image_id=image_id)
        found = self._select(Query(record=Session, where=where, deleted=False, order=_ORDER, limit=1))
        return found[0] if found else None

    @async_variant(get_image_session)
    def aget_image_session(self) -> Any: ...
