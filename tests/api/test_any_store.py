"""The API over stores that are no Django database: what a user relies on is the same.

The tests are those of the API over a database, collected here once more, over another storage.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async

from chronos_storage import storages
from chronos_storage.facade import Storage
from tests.api import (
    test_access,
    test_artifacts,
    test_fences,
    test_filters,
    test_lists,
    test_numbers,
    test_operations,
    test_repeats,
    test_resources,
    test_spans,
    test_streams,
)
from tests.api.conftest import Api
from tests.api.test_routes import check_answers
from tests.conftest import ONLY_SQLITE, alias_of

#: Where users are, and sign in.
alias = alias_of(ONLY_SQLITE)

_AGAIN: dict[ModuleType, tuple[str, ...]] = {
    test_artifacts: (
        "test_a_form_names_its_file_and_may_say_more",
        "test_it_is_there_for_who_sees_its_session_or_else_its_user",
        "test_staff_name_any_user_and_session_that_is_there",
        "test_a_repeat_finds_what_the_first_one_stored",
    ),
    test_access: (
        "test_a_session_s_topic_is_there_for_who_sees_its_events",
        "test_a_user_keeps_what_is_theirs",
        "test_consumers_are_the_users_own",
        "test_memory_and_audit_logs_go_by_their_user_and_their_session",
        "test_staff_say_whose_it_is",
        "test_what_is_written_under_a_number_is_found_again",
        "test_what_belongs_to_a_deleted_session_is_hidden_with_it",
        "test_what_the_ledger_publishes_is_not_forged",
    ),
    test_fences: (
        "test_a_repeat_of_who_was_overtaken_is_refused",
        "test_a_session_that_requires_a_fence",
        "test_a_writer_gets_it_keeps_it_and_gives_it_back",
    ),
    test_filters: (
        "test_events_by_type_and_time_and_spans_by_kind_and_failure",
        "test_lists_are_counted",
        "test_several_are_read_by_their_ids",
        "test_what_is_read_by_ids_comes_in_order_page_by_page",
        "test_what_no_index_serves_is_refused",
    ),
    test_lists: (
        "test_a_page_stays_where_it_is_while_others_write",
        "test_pages_go_through_a_list_and_back",
        "test_what_is_no_cursor_or_page_size_is_refused",
    ),
    test_numbers: (
        "test_a_message_says_which_number_it_expected",
        "test_all_messages_of_a_session_are_removed_and_their_numbers_not_given_again",
        "test_audit_logs_of_a_time",
        "test_checkpoints_by_namespace_metadata_and_run",
        "test_every_field_is_written_and_read",
        "test_memory_is_put_in_batches",
        "test_staff_ensure_that_a_session_is_there",
        "test_the_last_number_of_the_ledger_is_expected_next",
    ),
    test_operations: (
        "test_audit_logs_are_exported",
        "test_checkpoints_are_removed_one_by_one_and_thinned_out",
        "test_messages_are_taken_back",
        "test_staff_restore_what_was_deleted_and_remove_it_for_good",
        "test_the_history_says_what_changed",
        "test_usage_of_a_period",
    ),
    test_repeats: (
        "test_a_batch_of_another_length_or_order_is_no_repeat",
        "test_a_deletion_takes_only_what_was_seen",
        "test_a_new_message_is_no_change_of_the_session",
        "test_a_repeat_after_a_change_returns_what_is_stored_now",
        "test_a_repeated_batch_returns_what_is_stored",
        "test_a_repeated_creation_returns_what_is_stored",
        "test_a_repeated_publishing_returns_its_cursor",
        "test_an_update_writes_only_over_what_was_seen",
        "test_metadata_is_merged_into_what_was_seen",
        "test_of_concurrent_batches_with_one_key_one_is_stored",
        "test_of_several_writers_who_saw_one_version_one_wins",
        "test_writers_of_different_fields_both_win_and_what_was_removed_stays_so",
    ),
    test_resources: (
        "test_a_session_is_created_read_changed_and_hidden",
        "test_an_append_says_which_number_it_expected",
        "test_an_export_has_all_that_belongs_to_the_session",
        "test_audit_logs",
        "test_checkpoints_and_forks",
        "test_containers_and_images",
        "test_events_are_appended_and_read",
        "test_memory",
        "test_messages",
        "test_sessions_are_filtered_and_ordered",
        "test_staff_see_deleted_sessions_when_they_ask",
        "test_traces",
    ),
    test_spans: (
        "test_a_parent_gives_its_run_only_to_who_sees_it",
        "test_a_run_s_spans_are_listed_over_its_sessions",
        "test_spans_are_stored_in_batches",
        "test_the_end_of_a_span_sets_what_it_names",
    ),
}
#: With the fixtures that they have in their module.
_AGAIN[test_streams] = (
    "committed",
    "session",
    "view",
    "test_a_stream_of_some_types",
    "test_a_session_begins_behind_a_number",
    "test_a_topic_begins_with_what_comes_or_behind_a_cursor",
    "test_what_was_purged_or_removed_is_not_passed_over",
    "test_a_session_that_was_made_again_is_no_continuation",
)
for _module, _names in _AGAIN.items():
    globals().update((_name, getattr(_module, _name)) for _name in _names)


def test_who_is_answered_what(ada: Api, bob: Api, staff: Api, site: Storage, alias: str, cursor: str) -> None:
    """Route by route, as the table of docs/api.md says."""
    check_answers(["owner", "other", "staff"], {"owner": ada, "other": bob, "staff": staff}, site, alias, cursor)


def test_what_has_a_text_or_a_value_in_it(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    test_filters.test_sessions_by_metadata_and_title(ada, bob, staff, site)


def test_messages_with_a_text(ada: Api, site: Storage) -> None:
    test_filters.test_messages_by_role_kind_time_and_text(ada, site)


def test_a_deleted_session_is_followed_no_more(committed: Storage, ada: Api) -> None:
    async def use(stream: test_streams.Stream) -> list[bytes]:
        await stream.part()
        await sync_to_async(committed.delete_session)("s")
        return await stream.end()

    assert set(test_streams.follow(ada, test_streams.EVENTS, use)) <= {b":\n\n"}
    ada.get("sessions/s/events", 404)


@pytest.fixture
def published() -> bool:
    """The ledger is polled: nothing else can be part of what appends to it."""
    return False


@pytest.fixture
def site(alias: str, settings: Any) -> Storage:
    """The storage of the settings, in memory; of the site nothing but who signs in is in the database."""
    backend = {"BACKEND": "chronos_storage.backends.document.MemoryBackend", "OPTIONS": {"NAME": uuid4().hex}}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}}
    return storages["default"]
