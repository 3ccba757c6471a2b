-- Schema 6: what a cumulative point adds is what it exceeds all points before it by.

CREATE INDEX control_point_high ON control_point (metric, series, start_unix_nano, amount, time_unix_nano)
    WHERE temporality = 'cumulative';
