"""Measures the bot's cost and speed, as ratios to what people would use otherwise.

Run it with ``python -m benchmarks`` or ``make bench``. Programs that are compared take turns within the same minutes,
under the same load.
"""
