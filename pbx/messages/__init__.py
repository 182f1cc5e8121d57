"""Instant messages: delivered to the phones of an account, or kept until one of them is there."""
