"""Containers, images, and the sessions that start from one."""

from __future__ import annotations

import pytest

from ...exceptions import InvalidRecord, NotFound
from ...facade import Storage
from ...records import Container, Image
from ..writers import write
from .helpers import alike, case, column, everything, open_session, read
from .samples import ODD_JSON, at, full


def there(storage: Storage, kind: str, id: str) -> bool:
    known: bool = getattr(storage, f"{kind}_exists")(id)
    return known


class ImageContract:
    def test_saving_again_writes_over_it(self, storage: Storage) -> None:
        for kind in ("container", "image"):
            with case(kind):
                made = write(storage, full(kind))
                bare = (Container if kind == "container" else Image)(id=kind, created_at=at(999))
                saved = write(storage, bare)
                assert read(storage, saved) == saved
                assert saved.created_at == made.created_at
                assert saved.updated_at > made.updated_at
                assert (saved.config if kind == "container" else saved.mcp_servers) == {}
                assert list(storage.scan(kind)) == [saved]

    def test_a_given_updated_at_stays(self, storage: Storage) -> None:
        for kind in ("container", "image"):
            with case(kind):
                record = Container if kind == "container" else Image
                for given in (at(7), at(5)):
                    saved = write(storage, record(id=kind, created_at=at(3), updated_at=given))
                    assert (saved.created_at, saved.updated_at) == (at(3), given)
                    assert read(storage, saved) == saved
                assert write(storage, record(id=kind)).updated_at > given

    def test_whether_it_is_there(self, storage: Storage) -> None:
        for kind in ("container", "image"):
            with case(kind):
                assert there(storage, kind, kind) is False
                write(storage, full(kind))
                assert there(storage, kind, kind) is True
                assert there(storage, kind, kind.upper()) is False
                delete = getattr(storage, f"delete_{kind}")
                assert [delete("nothing"), delete(kind), delete(kind)] == [False, True, False]
                assert there(storage, kind, kind) is False

    def test_nothing_goes_with_what_is_deleted(self, storage: Storage) -> None:
        kept = [write(storage, full(kind)) for kind in ("session", "container", "image")]
        storage.delete_container("container")
        assert [read(storage, record) for record in kept] == [kept[0], None, kept[2]]
        storage.delete_image("image")
        assert storage.get_session("s") == kept[0]

    def test_images_of_a_name_or_a_container(self, storage: Storage) -> None:
        for number, (name, container_id) in enumerate([("a", "c1"), ("b", "c1"), ("a", "c2")]):
            storage.save_image(Image(id=f"{number}", name=name, container_id=container_id, created_at=at(number)))
        assert column(storage.list_images(), "id") == ["2", "1", "0"]
        assert column(storage.list_images(name="a"), "id") == ["2", "0"]
        assert column(storage.list_images(name="a", offset=1), "id") == ["0"]
        assert column(storage.list_images(name="a", container_id="c1"), "id") == ["0"]

    def test_an_image_is_found_under_its_new_name_only(self, storage: Storage) -> None:
        """Against: stale index entries after a rename."""
        storage.save_image(Image(id="i", name="old", container_id="old"))
        storage.save_image(Image(id="i", name="new", container_id="new"))
        assert storage.list_images(name="old") == storage.list_images(container_id="old") == []
        assert column(storage.list_images(name="new", container_id="new"), "id") == ["i"]

    def test_image_metadata_is_merged_at_its_top_level(self, storage: Storage) -> None:
        made = storage.save_image(Image(id="i", name="kept", metadata={"a": 1, "b": {"x": 1}}))
        merged = storage.patch_image_metadata("i", {"b": {"y": None}, "c": None})
        assert merged.metadata == {"a": 1, "b": {"y": None}, "c": None}
        assert (merged.name, merged.created_at) == ("kept", made.created_at)
        merged = storage.patch_image_metadata("i", ODD_JSON)
        assert alike(merged.metadata) == alike({"a": 2, "b": {"y": None}, "c": None} | ODD_JSON)
        assert storage.get_image("i") == merged

    def test_image_metadata_that_cannot_be_merged(self, storage: Storage) -> None:
        made = storage.save_image(Image(id="i", metadata={"a": 1}))
        for wrong in ({"n": -0.0}, {"n": float("inf")}, {1: 1}, [], None):
            with case(wrong):
                with pytest.raises(InvalidRecord):
                    storage.patch_image_metadata("i", wrong)
                assert storage.get_image("i") == made

    def test_merging_into_what_is_not_there(self, storage: Storage) -> None:
        """Against: an update of a missing row that reports success."""
        with pytest.raises(NotFound):
            storage.patch_image_metadata("i", {"a": 1})
        assert not any(everything(storage).values())

    def test_the_most_recent_session_of_an_image(self, storage: Storage) -> None:
        assert storage.get_image_session("i") is None
        for id, timestamp in (("a", 1), ("b", 3), ("c", 2)):
            open_session(storage, id, image_id="i", created_at=at(timestamp))
        open_session(storage, "another's", image_id="I", created_at=at(9))
        assert storage.get_image_session("i").id == "b"
        storage.delete_session("b")
        assert storage.get_image_session("i").id == "c"
