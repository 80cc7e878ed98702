DROP TABLE ticks, timers;
