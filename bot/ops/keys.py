"""Which master keys the stored secrets need, and the exchange of one for another: ``flokit-bot keys``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.store.installations import Installations
from bot.store.sealing import MasterKeys

BATCH: Final = 100
"""Data keys that are rewrapped in one transaction: the bot, which runs meanwhile, hardly waits for it."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """One sentence per master key, and whether all secrets can be decrypted."""

    lines: tuple[str, ...]
    is_fine: bool


async def report_keys(installations: Installations, keys: MasterKeys) -> KeyReport:
    """Say how many workspaces need which master key; no key is shown, only fingerprints.

    Raises:
        StoreUnavailable: the database is away.
    """
    return _report(keys.ids, await installations.records.count_by_key(), rotated=False)


async def rotate_keys(installations: Installations, keys: MasterKeys) -> KeyReport:
    """Rewrap all data keys with the first master key, and report.

    Raises:
        StoreUnavailable: the database is away; the batches before stay rewrapped.
    """
    done = 0
    while rewrapped := await installations.records.rewrap(BATCH):
        done += rewrapped
    report = _report(keys.ids, await installations.records.count_by_key(), rotated=True)
    return KeyReport((f"{_workspaces(done)} moved to key 1.", *report.lines), report.is_fine)


def _report(ids: tuple[str, ...], counts: Mapping[str, int], *, rotated: bool) -> KeyReport:
    lines, is_fine = [], True
    for number, key_id in enumerate(ids, start=1):
        count, key = counts.get(key_id, 0), f"Key {number} ({key_id})"
        if number == 1:
            lines.append(f"{key}: {_workspaces(count)}. It protects whatever is saved from now on.")
        elif not count:
            lines.append(f"{key}: no workspace needs it; you can remove it from ENCRYPTION_KEYS.")
        elif rotated:
            is_fine = False
            lines.append(f"{key}: {_workspaces(count)} can't be decrypted, and must install the app again.")
        else:
            lines.append(f"{key}: {_workspaces(count)} still on it; run flokit-bot keys rotate.")
    for key_id in sorted(counts.keys() - set(ids)):
        is_fine = False
        lines.append(
            f"Missing key ({key_id}): {_workspaces(counts[key_id])}. Add it to ENCRYPTION_KEYS again; "
            "without it, they must install the app again."
        )
    return KeyReport(tuple(lines), is_fine)


def _workspaces(count: int) -> str:
    return "1 workspace" if count == 1 else f"{count} workspaces"
