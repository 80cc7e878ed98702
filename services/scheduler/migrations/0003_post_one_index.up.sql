-- Timers are claimed kind by kind (timers_due); nobody looks here any more.
DROP INDEX timers_armed;
