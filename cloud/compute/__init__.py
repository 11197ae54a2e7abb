"""Rented computing power: what a task needs, what is offered, and what it would cost before anything is spent."""
