"""What a user would otherwise write: each as a good engineer would write it for that purpose and nothing else."""
