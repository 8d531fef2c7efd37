"""``flokit-bot audit``: the audit as CSV or as one JSON object a line, entry by entry, as the database gives it."""

from __future__ import annotations

import csv
import json
from typing import TextIO

from bot.core.access.audit import COLUMNS, AuditFilter, as_row, csv_cell
from bot.observability.logs import escape
from bot.store.audit import Audit


async def export_audit(audit: Audit, wanted: AuditFilter, style: str, out: TextIO) -> int:
    """Write the entries that are wanted, the newest first; returns how many there were.

    The CSV may be shown in a terminal: what names and words hold that would colour it, or move its cursor, is escaped.

    Raises:
        StoreUnavailable: the database is away.
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
