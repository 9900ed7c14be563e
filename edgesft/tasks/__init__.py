"""What models are for: one file a task, the registry, and where pretrained weights come from."""
