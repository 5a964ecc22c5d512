"""What campaigns delivered: their spending and who saw them how often, by the journal; the limits of a decision."""
