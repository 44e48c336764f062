"""What a run holds: its methods, trainings and judgements."""
