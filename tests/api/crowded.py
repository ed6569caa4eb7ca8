"""The demo's settings, with room for a crowd of one user's streams."""

from project.settings import *  # noqa: F403
from project.settings import CHRONOS_STORAGE

CHRONOS_STORAGE |= {"API": {"MAX_STREAMS": 1000}}
