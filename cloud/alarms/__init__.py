"""Alarms: rules, their evaluation, what people do with an alarm, and how many there are."""
