"""Spans of OpenTelemetry as traces of a storage.

``provider.add_span_processor(BatchSpanProcessor(ChronosSpanExporter()))`` is all there is to it.
"""

from __future__ import annotations

from .exporter import ChronosSpanExporter

__all__ = ["ChronosSpanExporter"]
