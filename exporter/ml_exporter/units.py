"""Units of the fixed-point sums, and the clips that keep them from overflowing."""

Z_LIMIT = 64.0
"""Standardised values are clipped here: no value poisons a window, and no sum overflows below 2**33 rows."""
Z_UNIT = 1 << 24
Z2_UNIT = 1 << 12
LOSS_UNIT = 1 << 24
LOSS2_UNIT = 1 << 20
PROBABILITY_UNIT = 1 << 24
LATENCY_UNIT = 1_000_000
DELAY_UNIT = 1_000
PROBABILITY_FLOOR = 1e-15

ERROR_UNIT = 1 << 24
"""Of errors and their absolute values, in units of the error scale: below 2**30 a row."""
WIDE_UNIT = 1 << 40
WIDE_SPLIT = 1 << 32
"""Labels, squares and fourth powers of errors need up to 2**64 a row, and many digits where errors are far smaller than
in the reference. They have two cells: whole multiples of this, up to 2**32 a row, and the rest. So no overflow below
2**31 rows.
"""

LABEL_STATES = ("none", "negative", "positive")
"""States of a prediction: without a label, then the two kinds of label. With many classes those are wrong and right."""
