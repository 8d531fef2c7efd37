"""A person's browser, for tests: goes from the app's install page to Slack's, answers there, and comes back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

import aiohttp


@dataclass(frozen=True, slots=True)
class Shown:
    """What the browser ends up with."""

    status: int
    url: str
    text: str


async def go_through(install_url: str, authorize_url: str, form: list[tuple[str, str]]) -> Shown:
    """Follow an app's install link, send Slack's form, and return what the app shows in the end.

    Args:
        form: what the person sends on Slack's page.

    Raises:
        LookupError: the install page neither redirects nor links to Slack's page, or Slack's page sends nobody back.
    """
    # Browsers take Secure cookies from this machine, even over http.
    jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=install_url)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(install_url, allow_redirects=False) as response:
            page = response.headers.get("Location", "") or await response.text()
        link = re.search(re.escape(authorize_url) + r"\?[^\"'\s<>]*", unescape(page))
        if link is None:
            raise LookupError(f"{install_url} doesn't lead to {authorize_url}: {page[:300]}")
        async with session.post(link.group(), data=form, allow_redirects=False) as response:
            back = response.headers.get("Location", "")
            if not back:
                raise LookupError(f"Slack's page says: {await response.text()}")
        async with session.get(back) as response:
            return Shown(response.status, str(response.url), await response.text())
