"""Plays the GRIP proxy: holds clients, subscribes them, delivers what is published."""
