"""Sentences that stand in many descriptions: what is counted, and by which clock."""

PRICED = (
    "At our price book, by contract where there is one, from log events, spans and clients' sums, each call once, "
    "corrections included; calls without a price are not in it."
)
BY_POSTING = "By the time of posting: a call counts when it was priced, a correction when it was made."
BY_CALL = "By the time of the calls, so a correction counts in the period of its call."
APART = "Billed, notional (covered by a plan) and unknown are never summed."
COUNTED = "Counted by the clients, whatever the basis of their cost."

NO_COST = "no cost in this range"

LEFT_OUT = "ledgers left out"
ABOUT_LEFT_OUT = (
    "Ledgers left out: how many were heard of in the range, but not at its start or not at its end, so that what they "
    "posted in it is not known and in no total (dashboards/README.md)."
)
