"""Numbered series and hash chains: hashing, numbering and verification, and nothing about where records are kept."""
