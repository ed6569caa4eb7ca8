"""The demo's settings, without the ledger's events on the queue."""

from project.settings import *  # noqa: F403

CHRONOS_STORAGE = {}
