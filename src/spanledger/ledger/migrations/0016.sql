-- Schema 16: sums without a session are held against the calls of all sessions of their resource and user.
CREATE INDEX sender_user ON sender (user_id, resource_digest);
