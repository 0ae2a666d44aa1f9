"""What a pipeline's platform reads: workflow commands and files, each in the form that the platform documents."""
