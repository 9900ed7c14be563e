"""Features and targets of models on sound."""
