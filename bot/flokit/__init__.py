"""FloKit's v1 API: the one place that talks to it."""

from bot.core.budget import Priority
from bot.flokit.budget import Budget, LocalBudget
from bot.flokit.client import SHARED_WITHIN_S, FlokitClient, KeyCheck
from bot.flokit.http import Endpoint, endpoint_of
from bot.flokit.replies import Detail, Listing
