"""A model to give away: a trained run as the folder of files that the book's live page loads."""
