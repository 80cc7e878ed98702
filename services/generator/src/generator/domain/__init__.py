"""What the generator decides, as pure functions of records, answers and times."""
