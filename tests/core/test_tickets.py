"""The address at which a ticket is opened leads where the workspace says, whatever FloKit's texts contain."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.blocks.limits import URL
from bot.core.errors import SettingsError
from bot.core.incidents.tickets import URL_CHARS, template_problem, ticket_url
from bot.settings.policy_text import parse_policy

TEMPLATE = "https://jira.example.com/new?project=DATA&summary={title}&description={body}"


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "https://github.com/acme/data/issues/new?title={title}&body={body}",
        "http://tickets.local:8080/{integration}/{id}",
        "https://example.com/#new={title}",
    ],
)
def test_these_are_templates(template):
    assert template_problem(template) == ""
    assert parse_policy(f'ticket: "{template}"').ticket == template


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("", "characters"),
        ("jira.example.com/new?summary={title}", "https://"),
        ("javascript:alert({title})", "https://"),
        ("https://{title}.example.com/", "fixed host"),
        ("https://ana:secret@example.com/?t={title}", "user name"),
        ("https://example.com/new", "{title}"),
        ("https://example.com/?t={summary}", "no other braces"),
        ("https://example.com/?t={title", "no other braces"),
        ("https://example.com/?t={title}&b=a b", "%20"),
        ("https://example.com/?t={title}|<!channel>", "%20"),
        ("https://example.com:x/?t={title}", "isn't"),
        ("https://example.com/?t={title}" + "x" * 1000, "1,000"),
    ],
)
def test_these_are_not_templates(template, part):
    assert part in template_problem(template)
    if template:
        with pytest.raises(SettingsError, match="ticket"):
            parse_policy(f'ticket: "{template}"')


@given(st.text(), st.text())
def test_values_stay_values(title, body):
    """They reach the ticket's page as they are, cut if they're too long, and change nothing else."""
    title, body = (one.encode("utf-8", "ignore").decode() for one in (title, body))
    url = ticket_url(TEMPLATE, {"title": title, "body": body})
    assert urlsplit(url).netloc == "jira.example.com"
    asked = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert asked["project"] == ["DATA"]
    assert title.startswith(asked["summary"][0])
    assert body.startswith(asked["description"][0])


def test_an_address_fits_in_a_button():
    """Even if every character takes twelve of the address."""
    url = ticket_url(TEMPLATE, {"title": "🦊" * 100, "body": "🦊" * 5000})
    assert 1500 < len(url) <= URL_CHARS == URL
