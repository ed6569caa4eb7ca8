"""A Django project around `chronos_storage`: its demo, and a place to try it by hand. It is not in the wheel."""
