"""Clients that users have, against the server: the program of the README, and a matrix of operation by client."""
