DROP TABLE botstore_schedules;
DROP TABLE botstore_idempotency;
