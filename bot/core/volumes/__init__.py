"""How many events an integration brings: what's usual for it, and when it brings far fewer."""
