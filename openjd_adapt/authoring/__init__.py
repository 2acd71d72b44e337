"""For authors, not for farms: play a session, begin an adaptor, make a job template."""
