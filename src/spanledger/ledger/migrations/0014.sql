-- Schema 14: records by trace, for the sum of a turn. Without traces no record has one, and the index stays empty.

CREATE INDEX evidence_trace ON evidence (trace_id, time_unix_nano) WHERE trace_id <> '';
