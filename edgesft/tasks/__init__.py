"""What models are for: one file a task, the registry, and folders of the parts that tasks are made of."""
