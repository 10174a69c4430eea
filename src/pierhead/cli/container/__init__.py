"""Container commands, a module for each verb or small group of verbs."""
