"""The database engine of the tests on a cluster: see `tests.settings`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlunsplit

from django.core.management import call_command
from django.db.backends.postgresql import base, creation

from tests import clusters

#: As many as show what belongs together and what doesn't.
SHARDS = 4


class DatabaseCreation(creation.DatabaseCreation):
    """Makes test databases on all nodes, and spreads their tables once they are migrated."""

    def _name(self) -> str:
        django: Any = self
        return str(django._get_test_db_name())

    def _address(self) -> str:
        settings = self.connection.settings_dict
        return urlunsplit(("postgres", f"{settings['USER']}@{settings['HOST']}:{settings['PORT']}", "postgres", "", ""))

    def create_test_db(self, *args: Any, **options: Any) -> str:
        name = super().create_test_db(*args, **options)
        call_command("chronos_distribute", database=self.connection.alias, shards=SHARDS, verbosity=0)
        self.connection.close()
        return name

    def _execute_create_test_db(self, cursor: Any, parameters: Any, keepdb: bool = False) -> None:
        clusters.drop(self._address(), self._name())
        clusters.create(self._address(), self._name())

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        clusters.drop(self._address(), test_database_name)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with that creation."""

    creation_class = DatabaseCreation
