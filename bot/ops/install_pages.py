"""The pages of an installation, as HTML: they need no JavaScript, load nothing, and work in light and dark mode."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlencode, urlsplit

from bot.slack.scopes import BOT_SCOPES

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d1c1d;--soft:#55595d;--page:#f4f6f6;--card:#fff;--line:#c9d1d1;--edge:#7d8787;
--fill:#0f6b66;--on-fill:#fff;--link:#0b5a8a;--ok:#17693c;--bad:#a8261c}
@media(prefers-color-scheme:dark){:root{--ink:#e9eeee;--soft:#aeb8b8;--page:#111717;--card:#1a2222;--line:#36423f;
--edge:#84908f;--fill:#7fd3ca;--on-fill:#06231f;--link:#8cc8f2;--ok:#7cd9a2;--bad:#ff9d93}}
*{box-sizing:border-box}
body{margin:0;padding:2rem 1rem;background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{max-width:42rem;margin:0 auto;padding:1.5rem clamp(1rem,5vw,2.5rem) 2rem;background:var(--card);
border:1px solid var(--line);border-radius:.75rem}
h1{margin:.5rem 0 1rem;font-size:1.75rem;line-height:1.2}
h2{margin:2rem 0 .5rem;font-size:1.125rem}
p{margin:0 0 1rem}
main>:last-child{margin-bottom:0}
ol{margin:0 0 1rem;padding-left:1.5rem}
li{margin-bottom:.25rem}
dl{margin:0}
dt{margin-top:.5rem}
dd{margin:0 0 0 1rem;color:var(--soft)}
code{font:.875rem ui-monospace,monospace;white-space:nowrap}
a{color:var(--link)}
a.button{display:inline-block;padding:.75rem 1.5rem;border-radius:.5rem;background:var(--fill);color:var(--on-fill);
font-weight:700;text-decoration:none}
a.button:hover{text-decoration:underline}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.soft{color:var(--soft)}
svg{display:block;width:100%;max-width:24rem;height:auto;margin:1.5rem 0;font:14px system-ui,sans-serif;fill:var(--ink)}
svg .box{fill:none;stroke:var(--line)}
svg .edge{fill:none;stroke:var(--edge)}
svg .fill{fill:var(--fill)}
svg .mark{fill:none;stroke:var(--on-fill);stroke-width:2.5;stroke-linecap:round;stroke-linejoin:round}
svg .small{fill:var(--soft);font-size:12px}
svg .bold{font-weight:700}
svg .ok{fill:var(--ok)}
svg .bad{fill:var(--bad)}
"""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # The address of the second page has a code and a state.
    "Referrer-Policy": "no-referrer",
}

PICTURE: Final = """
<svg viewBox="0 0 340 292" role="img" aria-labelledby="picture">
<title id="picture">A Slack message lists two integrations: Stripe is failing, Google Play is connected, and each has a
Resync button. A reply in the message's thread says that Stripe synced in 42 seconds and that 214 new events came
in.</title>
<rect class="box" x=".5" y=".5" width="339" height="291" rx="10"/>
<g aria-hidden="true">
<rect class="fill" x="14" y="16" width="32" height="32" rx="8"/>
<path class="mark" d="M22 28h14l-4-4M38 36H24l4 4"/>
<text class="bold" x="58" y="29">FloKit</text>
<text class="bold" x="58" y="54">1 of 2 needs attention</text>
<text class="bold" x="58" y="88">Stripe</text>
<text x="58" y="108"><tspan class="bad bold">✕</tspan> failing since 2:24 AM</text>
<rect class="edge" x="250" y="77" width="76" height="30" rx="6"/>
<text class="bold" x="288" y="97" text-anchor="middle">Resync</text>
<text class="bold" x="58" y="140">Google Play</text>
<text x="58" y="160"><tspan class="ok bold">✓</tspan> connected, 5:24 PM</text>
<rect class="edge" x="250" y="129" width="76" height="30" rx="6"/>
<text class="bold" x="288" y="149" text-anchor="middle">Resync</text>
<path class="edge" d="M58 184v88"/>
<rect class="fill" x="72" y="188" width="24" height="24" rx="6"/>
<path class="mark" d="M78 197h11l-3-3M90 204H79l3 3"/>
<text class="bold" x="106" y="205">FloKit</text><text class="small" x="156" y="205">in the thread</text>
<text x="106" y="234"><tspan class="ok bold">✓</tspan> <tspan class="bold">Stripe synced in 42 s</tspan></text>
<text x="106" y="256">214 new events</text>
</g>
</svg>"""


@dataclass(frozen=True, slots=True)
class About:
    """What the install page says about this deployment.

    ``host`` is the name under which people know it. All but ``scopes`` are settings; an address that isn't set is "".
    """

    public_url: str
    scopes: tuple[str, ...]
    retention_days: float = 90
    uninstalled_retention_days: float = 30
    support_url: str = ""
    privacy_url: str = ""

    @property
    def host(self) -> str:
        """The host of ``public_url``."""
        return urlsplit(self.public_url).netloc


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, and what to do. ``link`` is the label of the way back to the install page; "" if that won't help.

    The texts are plain, not HTML.
    """

    status: int
    title: str
    text: str
    todo: str
    link: str = "Start again"


def install_page(about: About, authorize_url: str) -> str:
    """Return the page on which people begin."""
    scopes = "".join(map(_scope, about.scopes))
    return _page(
        "Add FloKit to Slack",
        f"""<h1>Add FloKit to Slack</h1>
<p>See all your FloKit integrations in Slack, failing ones first. Resync one with a click, and get its real outcome in
the thread where you clicked. Subscribe a channel, and it's notified when an integration fails and when it recovers.</p>
{PICTURE}
<p><a class="button" href="{escape(authorize_url)}">Add to Slack</a></p>
<p class="soft">Slack asks you to allow the permissions below. Your workspace may require an admin's approval. Use this
link within ten minutes, in this browser.</p>
<h2>Permissions, and why</h2>
<p>FloKit doesn't ask to read your messages. It only receives commands, mentions, clicks and forms that are meant for
it, and notices about its own channels.</p>
<dl>{scopes}</dl>
<h2>Privacy</h2>
<p>FloKit for Slack stores its Slack token and your FloKit keys, encrypted; your workspace's name; the Slack IDs of
people and channels that use it, and the names of those people; what FloKit says about your integrations; and who did
what. Finished work and that log are deleted after {about.retention_days:g} days. When you uninstall the app from
Slack, its tokens and keys are deleted at once, and everything else after {about.uninstalled_retention_days:g} days.
If you install it again before that, your subscriptions and history come back.</p>
{_link(about.privacy_url, "Privacy policy")}<h2>Help and contact</h2>
<p>The app is run by the team behind <strong>{escape(about.host)}</strong>. Ask them for help, about your data, or to
have it erased sooner. Please report security problems to them privately.</p>
{_link(about.support_url, "Get help")}""",
    )


def success_page(name: str, *, app_id: str, team_id: str, slack_url: str, access_url: str) -> str:
    """Return the page for an installation that worked.

    Args:
        name: the workspace's name, or the organization's; may be empty.
        app_id: opens the app in Slack.
        team_id: the workspace; "" if it was installed org-wide.
        slack_url: Slack's own address.
        access_url: where an organization's admins add it to workspaces.
    """
    if team_id:
        # https://docs.slack.dev/interactivity/deep-linking
        link = f"{slack_url}/app_redirect?{urlencode({'app': app_id, 'team': team_id})}"
        label, first, where = "Open FloKit in Slack", "Open FloKit in Slack.", " or in its message to you"
    else:
        link, label, where = access_url, "Add it to workspaces", ""  # an organization gets no message
        first = "Choose the workspaces that can use it. Each of them connects its own FloKit, so there:"
    return _page(
        "FloKit is installed",
        f"""<h1>FloKit is installed in {escape(name) or "Slack"}</h1>
<p>Three steps are left:</p>
<ol>
<li>{first}</li>
<li>Press <strong>Connect FloKit</strong> on the app's <strong>Home</strong> tab{where}, and paste an API key. You can
create one in FloKit under <em>Settings → API Keys</em>.</li>
<li>In each channel where outcomes should appear, type <code>/invite @FloKit</code>.</li>
</ol>
<p><a class="button" href="{escape(link)}">{label}</a></p>
<p class="soft">You can close this page afterwards.</p>""",
    )


def notice_page(notice: Notice, install_url: str) -> str:
    """Return a page that says what happened and what to do."""
    link = f'<p><a class="button" href="{escape(install_url)}">{escape(notice.link)}</a></p>' if notice.link else ""
    return _page(
        notice.title,
        f"<h1>{escape(notice.title)}</h1><p>{escape(notice.text)}</p><p>{escape(notice.todo)}</p>{link}",
    )


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head>
<body><main>{body}</main></body></html>
"""


def _link(url: str, label: str) -> str:
    shown = url.removeprefix("mailto:").removeprefix("https://")
    return f'<p>{label}: <a href="{escape(url)}" rel="noreferrer">{escape(shown)}</a></p>\n' if url else ""


def _scope(scope: str) -> str:
    words = BOT_SCOPES[scope]
    return f"<dt><code>{escape(scope)}</code></dt><dd>{escape(words[:1].upper() + words[1:])}.</dd>"
