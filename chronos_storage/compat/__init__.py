"""What is used of Django and the drivers without being documented: here and nowhere else below the admin and the API.

Each has a test in ``tests/unit/compat`` that fails where an upgrade changes it.
"""
