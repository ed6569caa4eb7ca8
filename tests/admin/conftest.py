"""The admin on every database, and who looks at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from tests.routers import OneDatabase


@pytest.fixture
def site(alias: str, settings) -> Storage:
    """The facade over the database that the whole site now uses."""
    settings.DATABASE_ROUTERS = [OneDatabase(alias)]
    return Storage(OrmBackend())


@pytest.fixture
def superuser(site) -> Client:
    return _logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def viewer(site) -> Client:
    """Staff who may look at everything of ours and nothing more."""
    user = User.objects.create_user("viewer", is_staff=True)
    labels = ["chronos_storage", "chronos_vectors"]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label__in=labels, codename__startswith="view_")
    )
    return _logged_in(user)


@pytest.fixture
def staff(site) -> Callable[..., Client]:
    """Makes staff who have these permissions alone."""

    def make(*codenames: str) -> Client:
        user, _ = User.objects.get_or_create(username=f"with {' '.join(codenames)}"[:150], is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return _logged_in(user)

    return make


@pytest.fixture
def stranger(site) -> Client:
    """Staff without any permission."""
    return _logged_in(User.objects.create_user("stranger", is_staff=True))


def _logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
