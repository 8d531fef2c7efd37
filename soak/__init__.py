"""The soak: replicas of the bot as real processes, people who click at random, and the worst weather there is.

Run it with ``python -m soak`` or ``make soak``. Everything random comes from one seed, which is printed; what the
kernel and the clock add isn't. The bot is used as an operator uses it: nothing but its sandbox is imported.
"""
