"""The doctor's judgments: from facts to findings. The facts come from ``bot/handlers/doctor.py``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from bot.core.blocks.text import counted, duration
from bot.core.errors import FlokitError, with_vendor_words
from bot.core.health.findings import Conversation, Finding, fine, unknown, wrong
from bot.core.models import Outcome, SyncRun

SKEW_FINE_S: Final = 60.0
"""Slack refuses requests that are five minutes off, but logs are hard to compare well before that."""

SECRET_CHARS: Final = 16


def judge_scopes(
    team: str, granted: Collection[str], needed: Collection[str], *, named: str = "SLACK_BOT_TOKEN"
) -> Finding:
    """Compare a token's scopes with those that the bot needs; ``named`` is what people call the token."""
    if not granted:  # every token has some, so a proxy dropped the header
        return unknown(f"{named}: valid in {team}; Slack didn't list its scopes")
    missing = ", ".join(sorted(set(needed) - set(granted)))
    if "users:read" in needed and "users:read" not in granted:
        return wrong(
            f"{named}: lacks {missing}; add them in OAuth & Permissions and reinstall the app. Without "
            "users:read I can't tell members from guests, so no one can sync or subscribe"
        )
    if missing:
        return wrong(f"{named}: lacks {missing}; add them in OAuth & Permissions and reinstall the app")
    return fine(f"{named}: valid in {team}, with all {len(needed)} scopes it needs")


def judge_choices(granted: Collection[str], optional: Mapping[str, str]) -> list[Finding]:
    """List the missing optional scopes and what that means; empty if the scopes aren't known."""
    absent = [scope for scope in optional if scope not in granted]
    if not granted or not absent:
        return []
    meaning = "; ".join(dict.fromkeys(optional[scope] for scope in absent))
    return [fine(f"optional scopes left out: {', '.join(absent)}, so {meaning}")]


def judge_webhook_secret(length: int) -> Finding:
    """Check that the webhook secret is long enough, because anyone can try any number of guesses."""
    if length < SECRET_CHARS:
        return wrong("FLOKIT_WEBHOOK_SECRET: is short enough to guess; make a longer one with: openssl rand -hex 32")
    return fine("FLOKIT_WEBHOOK_SECRET: set, so POST /webhooks/flokit accepts callers who know it")


def judge_key(name: str, found: int | FlokitError) -> Finding:
    """Check whether FloKit accepts a key; ``found`` is the number of integrations it sees, or the error."""
    if isinstance(found, FlokitError):
        return wrong(f"{name}: {found}")
    return fine(f"{name}: valid; sees {counted(found, 'integration')}")


def judge_sync_key(
    found: int | FlokitError | None, *, same_workspace: bool | None, named: str = "FLOKIT_SYNC_API_KEY"
) -> Finding:
    """Judge the second key like ``judge_key``; None if there's only one key."""
    if found is None:
        return fine(f"{named}: not set; the other key is used, and must be read-write")
    if same_workspace is False:
        return wrong(f"{named}: belongs to a different FloKit workspace than the other key")
    return judge_key(named, found)


def judge_tables(revision: str, needed: str, *, is_sqlite: bool) -> Finding:
    """Compare the tables' revision with the one that this version needs; "" means there are no tables."""
    if is_sqlite:
        return fine("DATABASE_URL: reachable; the next start brings its tables up to date")
    have = f"at revision {revision}" if revision else "missing"
    return wrong(f"DATABASE_URL: its tables are {have}, but this version needs {needed}; run flokit-bot migrate")


def judge_clock(whose: str, theirs: datetime | None, ours: datetime) -> Finding:
    """Compare our clock with a reply's ``Date`` header, which is in whole seconds."""
    if theirs is None:
        return unknown(f"clock: {whose}'s reply had no Date header")
    skew_s = (ours - theirs).total_seconds()
    if abs(skew_s) <= SKEW_FINE_S:
        return fine(f"clock: within {max(1, round(abs(skew_s)))} s of {whose}'s")
    side = "ahead of" if skew_s > 0 else "behind"
    return wrong(f"clock: ours is {duration(abs(skew_s))} {side} {whose}'s; set this machine's clock with NTP")


def judge_rights(runs: Sequence[SyncRun], now: datetime) -> Finding:
    """Check whether the key can write, from FloKit's last replies to sync requests; no sync is started to find out.

    Args:
        runs: newest first.
        now: the time.
    """
    for run in runs:
        if run.accepted_at:
            ago = duration((now - run.accepted_at).total_seconds())
            return fine(f"write access: FloKit accepted a sync {ago} ago, so the key can write")
        if run.outcome is Outcome.ACCESS_LOST and run.attempts:
            ago = duration((now - (run.ended_at or run.requested_at)).total_seconds())
            why = with_vendor_words(run.reason, run.reason_words) or "no reason given"
            return wrong(
                f"write access: FloKit refused a sync {ago} ago ({why}); set a read-write "
                "key in FLOKIT_SYNC_API_KEY, from FloKit → Settings → API Keys"
            )
    return unknown("write access: unknown until the first sync")


def judge_conversation(conversation: Conversation | None) -> Finding:
    """Check whether the bot can post and read in the current channel."""
    if conversation is None:
        return wrong("here: I can't see this channel; /invite me, or I'll send outcomes as DMs")
    if conversation.is_direct:
        return fine("here: a direct message")
    if conversation.is_archived:
        return wrong("here: the channel is archived, so nothing can be posted; unarchive it or use another")
    if conversation.is_member:
        return fine("here: I'm a member of this channel")
    if conversation.is_private:
        return wrong("here: I'm not a member of this private channel; /invite me")
    return fine("here: a public channel I can post in; /invite me so that I can also read it after a crash")


def judge_socket(problem: str, age_s: float | None) -> Finding:
    """Check whether the socket to Slack works, and how long it has been open."""
    if problem:
        return wrong(
            f"socket: {problem}; the bot reconnects automatically; if this persists, check the log for socket_rebuilt"
        )
    return fine(f"socket: open for {duration(age_s)}" if age_s is not None else "socket: open")


def judge_webhooks(last_at: datetime | None, now: datetime) -> Finding:
    """Report when this process last received a webhook."""
    if last_at is None:
        return unknown("webhook: none since this process started; the bot still checks FloKit in the background")
    return fine(f"webhook: the last one came {duration((now - last_at).total_seconds())} ago")


def judge_replicas(alive: int, *, is_running: bool, in_file: bool = False) -> Finding:
    """Report how many processes share the database. Each registers itself every ten seconds."""
    if in_file and alive > 1:
        return unknown(f"replicas: {alive} on one SQLite file, or one was just killed; run only one, or use PostgreSQL")
    if alive or is_running:
        return fine(f"replicas: {max(alive, 1)} running")
    return unknown("replicas: no bot is running on this database")
