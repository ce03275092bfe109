"""What a banner said, made harmless for the place it is shown in: as `spectra.model.safe` has it for all formats."""

from __future__ import annotations

from spectra.model.safe import acting, safe, safe_cell, safe_json, safe_lines

__all__ = ["acting", "safe", "safe_cell", "safe_json", "safe_lines"]
