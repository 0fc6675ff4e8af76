"""What the commands of all packages share: progress, and steps over tile files, each tile failing for itself."""
