"""Plays the edge runtime: one door in, one fork: answered or handed off."""
