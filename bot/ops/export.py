"""``flokit-bot audit``: streams the audit as CSV, or as one JSON object per line."""

from __future__ import annotations

import csv
import json
from typing import TextIO

from bot.core.access.audit import COLUMNS, AuditFilter, as_row, csv_cell
from bot.observability.logs import escape
from bot.store.audit import Audit


async def export_audit(audit: Audit, wanted: AuditFilter, style: str, out: TextIO) -> int:
    """Write the matching entries, newest first, and return how many there were.

    CSV may be shown in a terminal, so characters that would color text or move the cursor are escaped.

    Raises:
        StoreUnavailable: the database is down.
    """
    count = 0
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if style == "csv":
        writer.writeheader()
    async for entry in audit.stream(wanted):
        row = as_row(entry)
        if style == "csv":
            writer.writerow({name: escape(csv_cell(text)) for name, text in row.items()})
        else:
            out.write(f"{json.dumps(row)}\n")
        count += 1
    return count
