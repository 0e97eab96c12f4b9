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
SQUARE_UNIT = 1 << 20
"""Of squared errors and squared labels: at most 2**32 a row, so no overflow below 2**31 rows."""
FOURTH_UNIT = 1 << 20
FOURTH_SPLIT = 1 << 24
"""Fourth powers of errors need up to 2**44 a row, so they have two cells: whole multiples of this, and the rest."""

LABEL_STATES = ("none", "negative", "positive")
"""States of a prediction: without a label, then the two kinds of label. With many classes those are wrong and right."""
