-- Only for a schema that is being given up.
DROP TABLE media, files, deliveries, screens, messages, groups, updates, conversations, persons;
