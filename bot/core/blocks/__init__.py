"""Renders values as Slack messages: each function returns a `Message` that Slack accepts unchanged.

Nothing here fetches, decides or sends. Every message stays inside the limits of `bot.core.blocks.limits`, whatever
FloKit or a person wrote: untrusted text is clipped, escaped, and put where Slack parses nothing.
"""

from bot.core.blocks.access import held_message, refused_home, refused_message, why_message
from bot.core.blocks.audit import nothing_found_message
from bot.core.blocks.bulk import BULK_EVENT, retryable
from bot.core.blocks.connect import (
    connect_form,
    connect_home,
    connected_message,
    connected_unseen_message,
    disconnect_message,
    key_lost_message,
    may_not_connect_message,
    not_connected_message,
    settings_connect_message,
    type_it_message,
    welcome_back_message,
    welcome_message,
)
from bot.core.blocks.digest import digest_message
from bot.core.blocks.doctor import doctor_message
from bot.core.blocks.expecting import expected_message
from bot.core.blocks.history import history_message, linked_in_history
from bot.core.blocks.home import Home, home_view
from bot.core.blocks.incident import bulletin_message, escalated_message
from bot.core.blocks.incidents import SHOWN, Tried, incidents_message
from bot.core.blocks.naming import name_form, named_message, which_to_name_message
from bot.core.blocks.notices import (
    access_lost_message,
    flokit_away_message,
    help_message,
    not_found_message,
    nothing_matches_message,
    plain_message,
    with_invite_hint,
)
from bot.core.blocks.outcome import OUTCOME_EVENT, outcome_message
from bot.core.blocks.panels import panel_message
from bot.core.blocks.past import (
    name_not_recognized_message,
    nobody_called_message,
    time_unclear_message,
    which_person_message,
)
from bot.core.blocks.person_settings import settings_form
from bot.core.blocks.policy_form import (
    may_not_change_policy_message,
    policy_form,
    policy_saved_message,
    settings_policy_message,
)
from bot.core.blocks.progress import PROGRESS_EVENT, progress_message
from bot.core.blocks.quiet import (
    maintenance_ended_message,
    maintenance_message,
    maintenances_message,
    summary_message,
)
from bot.core.blocks.sample import SAMPLE
from bot.core.blocks.subscribe_form import subscribe_form, with_preview
from bot.core.blocks.subscriptions import (
    paused_message,
    restored_message,
    resumed_message,
    subscribed_message,
    subscriptions_message,
)
from bot.core.blocks.taking import (
    asked_message,
    cannot_ask_message,
    concerned_message,
    refused_turn_message,
    still_on_it_message,
    turn_message,
)
from bot.core.blocks.tickets import ticket_form
