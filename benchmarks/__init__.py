"""The benchmark: what the bot costs and how soon it knows, as ratios against what people would use otherwise.

Run it with ``python -m benchmarks`` or ``make bench``. Everything that is compared runs in the same minutes, in turns,
under the same load; nothing here is a timed test.
"""
