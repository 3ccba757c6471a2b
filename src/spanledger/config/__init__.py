"""What users write: settings and price tables, validated with every problem told at once."""
