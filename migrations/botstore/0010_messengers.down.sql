DROP TABLE botstore_timer;
DROP TABLE botstore_session_member;
DROP TABLE botstore_external_user;
-- Keys that were saved since are forgotten: a digest tells none, so there is nothing to write where they were before.
DROP TABLE botstore_update;
