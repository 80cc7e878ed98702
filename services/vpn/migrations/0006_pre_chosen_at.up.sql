-- Of two plans whose orders change places on their way the one that was chosen last stays. NULL:
-- given by an earlier release, and taken for chosen before any other.
ALTER TABLE grants ADD COLUMN chosen_at timestamptz;
