"""Values and rules: no IO, no clock, no wire format.

Owns money, usage, prices, postings and what they mean. May import only values from the standard library; the current
time, the price book and every record come in as arguments.
"""
