-- Schema 11: reports and budgets read postings by the time of the call.

CREATE INDEX posting_occurred ON posting (occurred_unix_nano);
