DROP TABLE botstore_timer;
DROP TABLE botstore_session_member;
DROP TABLE botstore_external_user;
DROP TABLE botstore_update;
