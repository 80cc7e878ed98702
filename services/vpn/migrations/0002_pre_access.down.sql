DROP TABLE extended, extensions, online, traffic_counters, node_drifts, node_alarms, nodes, rotations,
    desired, node_sets, desired_head, grants, subscriptions, people;
