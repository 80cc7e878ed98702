"""What happens to a job, a cancel and a server."""
