-- How many instances of a flow began within a day is asked at each start, and by the alerts: told by the index alone.
CREATE INDEX flow_instance_begun ON flow_instance (integration, started, state);
DROP INDEX flow_instance_started;
