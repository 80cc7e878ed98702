CREATE INDEX timers_armed ON timers (due_at) WHERE state = 'armed';
